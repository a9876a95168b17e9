package supervise

import (
	"os"
	"testing"
)

func BenchmarkReadStat(b *testing.B) {
	for b.Loop() {
		if _, ok := readStat(os.Getpid()); !ok {
			b.Fatal("no stat line")
		}
	}
}

func BenchmarkReadArgs(b *testing.B) {
	for b.Loop() {
		if len(readArgs(os.Getpid())) == 0 {
			b.Fatal("no arguments")
		}
	}
}
