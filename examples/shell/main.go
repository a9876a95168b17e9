// Command shell is an interactive shell without a real process: its commands are
// Go functions that run as goroutines, and package axprocess decides everything
// about their process life: who is whose child, who is in the foreground, whom
// ctrl-C reaches, what wait returns.
//
// It is what an interpreter or a WASM host would do. docs/embedding.md walks
// through it: world.go is the embedding, tty.go the terminal, the rest a shell.
//
//	go run ./examples/shell
package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

func main() { os.Exit(run(os.Stdin, os.Stdout)) }

// run runs the shell on a terminal or a pipe until it exits, and returns its
// exit code.
func run(in *os.File, out io.Writer) int {
	if fd := int(in.Fd()); term.IsTerminal(fd) {
		// The keys are ours to interpret: ctrl-C is for a process of the model.
		old, err := term.MakeRaw(fd)
		if err != nil {
			fmt.Fprintln(out, "shell:", err)
			return 2
		}
		defer term.Restore(fd, old)
	}
	w := newWorld(out)
	defer w.close()
	go func() {
		buf := make([]byte, 256)
		for {
			n, err := in.Read(buf)
			w.tty.typed(buf[:n])
			if err != nil {
				w.tty.typed([]byte{keyEOF})
				return
			}
		}
	}()
	return w.runShell("shell", "$ ")
}
