package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/creack/pty"

	"axprocess/report"
)

// onTerminal runs axp with its standard output on a terminal.
func onTerminal(t *testing.T, columns uint16, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "axp"
	cmd.Env = append(os.Environ(), "AXP_TEST_ROLE=axp", "TERM=xterm-256color", "LC_ALL=C.UTF-8")
	cmd.Env = append(cmd.Env, env...)
	file, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: columns})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out bytes.Buffer
	_, _ = io.Copy(&out, file) // ends with EIO, when axp does
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return strings.ReplaceAll(out.String(), "\r\n", "\n")
}

// TestTerminal: colour on a terminal only, and not with NO_COLOR or on a dumb
// one; no line is wider than the terminal, and of its width is made use.
func TestTerminal(t *testing.T) {
	args := []string{"tree", "--proc", "testdata/proc"}
	if out := onTerminal(t, 80, []string{"NO_COLOR="}, args...); !strings.Contains(out, "\x1b[31m") {
		t.Errorf("no colour on a terminal:\n%s", out)
	}
	for _, columns := range []uint16{40, 60, 132} {
		for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
			out := onTerminal(t, columns, []string{"NO_COLOR=", env}, args...)
			if strings.Contains(out, "\x1b") {
				t.Errorf("%s: there are escape sequences:\n%q", env, out)
			}
			widest := 0
			for line := range strings.Lines(out) {
				widest = max(widest, report.Columns(strings.TrimSuffix(line, "\n")))
			}
			if widest > int(columns) || widest < int(columns)-8 {
				t.Errorf("%s, %d columns: the widest line has %d:\n%s", env, columns, widest, out)
			}
		}
	}
}
