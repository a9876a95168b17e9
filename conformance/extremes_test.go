package conformance

import (
	"fmt"
	"os"
	"testing"
)

// TestExtremes gives each argument of each call its extremes, and each bit of the
// options: the errno must be the kernel's. It needs a world of its own, since the
// numbers may mean anybody.
func TestExtremes(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not run: needs root, for a pid namespace")
	}
	numbers := []string{"-2147483648", "-2147483647", "-4194304", "-300", "-2", "-1", "0", "1", "4194303", "4194304", "2147483647"}
	signals := []string{"-2147483648", "-1", "0", "65", "66", "128", "2147483647"}
	lines := []string{"init fork a", "a fork b", "a clone a2"}
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, n := range numbers {
		add("a getpgid %s", n)
		add("a getsid %s", n)
		add("a kill %s 0", n)
		add("a tkill %s 0", n)
		add("a tgkill %s a 0", n)
		add("a tgkill a %s 0", n)
		add("a setpgid %s 0", n)
		add("b setpgid 0 %s", n)
		add("b setpgid %s %s", n, n)
		add("a wait4 %s WNOHANG", n)
		for _, of := range append([]string{"P_ALL", "P_PID", "P_PGID"}, numbers...) {
			if of != "3" { // P_PIDFD: nothing in a story is a descriptor
				add("a waitid %s %s WEXITED|WNOHANG", of, n)
			}
		}
	}
	for _, sig := range signals {
		add("a kill b %s", sig)
		add("a kill 999999 %s", sig)
		add("a kill -1 %s", sig)
		add("a tkill a2 %s", sig)
		add("a tgkill a a2 %s", sig)
		add("a pdeathsig %s", sig)
	}
	add("a pdeathsig 0")
	for bit := range 32 {
		add("a wait4 any %d", 1|uint32(1)<<bit)
		add("a waitid P_ALL 0 %d", 1|uint32(1)<<bit)
		add("a waitid P_ALL 0 %d", 5|uint32(1)<<bit)
	}
	var text string
	for _, line := range lines {
		text += line + "\n"
	}
	s, err := Parse("extremes", text)
	if err != nil {
		t.Fatal(err)
	}
	act(t, s, program(t), true)
	t.Logf("%d steps", len(s.Steps))
}
