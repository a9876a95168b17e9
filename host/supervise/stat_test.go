package supervise

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestStat: a name may contain anything; what is cut off is refused.
func TestStat(t *testing.T) {
	line := "7 (a) (b\nc) Z 3 5 6 34816 7 4194304 0 0 0 0 1 2 0 0 20 0 1 0 4711 0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 139\n"
	st, ok := parseStat([]byte(line))
	want := stat{comm: "a) (b\nc", state: 'Z', ppid: 3, pgid: 5, sid: 6, threads: 1, start: 4711, exitStatus: 139}
	if !ok || st != want || !st.dead() {
		t.Errorf("%+v, %v", st, ok)
	}
	for _, bad := range []string{"", "7", "7 (x", "7 (x) S", "7 (x) S a b c", line[:60]} {
		if st, ok := parseStat([]byte(bad)); ok {
			t.Errorf("%q is taken as %+v", bad, st)
		}
	}
	if st, ok := readStat(os.Getpid()); !ok || st.ppid != os.Getppid() || st.start == 0 || st.dead() {
		t.Errorf("this process: %+v, %v", st, ok)
	} else if comm := readComm(os.Getpid()); comm == "" || comm != st.comm {
		t.Errorf("this process is %q and %q", comm, st.comm)
	}
	if comm := readComm(0); comm != "" {
		t.Errorf("no process is %q", comm)
	}
}

// FuzzStat: whatever the text, no panic, and no process with a negative parent.
func FuzzStat(f *testing.F) {
	f.Add([]byte("7 (x) S 1 2 3 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0"))
	f.Add([]byte(") ("))
	f.Fuzz(func(t *testing.T, line []byte) {
		if st, ok := parseStat(line); ok && st.ppid < 0 {
			t.Errorf("%q: %+v", line, st)
		}
	})
}

func TestArguments(t *testing.T) {
	if got := splitArgs([]byte("a\x00\x00b c\x00")); !slices.Equal(got, []string{"a", "", "b c"}) {
		t.Errorf("%q", got)
	}
	if got := splitArgs(nil); got != nil {
		t.Errorf("%q", got)
	}
	if got := readArgs(os.Getpid()); !slices.Equal(got, os.Args) {
		t.Errorf("%q", got)
	}
}

// FuzzText: any bytes become JSON, and what is UTF-8 comes back.
func FuzzText(f *testing.F) {
	f.Add("a\xffb\"\\")
	f.Fuzz(func(t *testing.T, s string) {
		quoted := appendText(nil, s)
		var back string
		if err := json.Unmarshal(quoted, &back); err != nil {
			t.Fatalf("%q: %s: %v", s, quoted, err)
		}
		if strings.ToValidUTF8(s, "") == s && back != s {
			t.Errorf("%q comes back as %q", s, back)
		}
	})
}

func BenchmarkReadStat(b *testing.B) {
	for b.Loop() {
		if _, ok := readStat(os.Getpid()); !ok {
			b.Fatal("no stat line")
		}
	}
}
