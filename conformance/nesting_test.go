package conformance

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// The limit of nesting counts from the machine's own pid namespace, so a story
// shows it only where the world's is one level below that.
func TestNestingLimit(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not run: needs root, for pid namespaces")
	}
	const initialSpace = 0xeffffffc // PROC_PID_INIT_INO
	var own unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &own); err != nil {
		t.Fatal(err)
	}
	if own.Ino != initialSpace {
		t.Skip("not run: needs the machine's own pid namespace")
	}
	table, err := NewTable(true)
	if err != nil {
		t.Fatal(err)
	}
	live, err := NewLive(program(t), true)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	inTable, err := nest(func(s Step) (Outcome, error) { return table.Do(s) })
	if err != nil {
		t.Fatal(err)
	}
	onLinux, err := nest(func(s Step) (Outcome, error) { return live.Do(s, Answers) })
	if err != nil {
		t.Fatal(err)
	}
	if inTable != 31 || onLinux != 31 {
		t.Errorf("%d levels below the world's in the table, %d on Linux; want 31 of both", inTable, onLinux)
	}
}

// nest makes namespaces in each other until that is refused, and says how many.
func nest(do func(Step) (Outcome, error)) (levels int, err error) {
	actor := "init"
	for {
		name := fmt.Sprintf("n%d", levels+1)
		out, err := do(Step{Actor: actor, Verb: "fork", Args: []string{name, "newpid"}})
		if err != nil {
			return 0, err
		}
		if out.Text != name {
			also, err := do(Step{Actor: actor, Verb: "unshare"})
			if err == nil && (out.Text != "ENOSPC" || also.Text != "ENOSPC") {
				err = fmt.Errorf("fork gives %s, unshare %s", out.Text, also.Text)
			}
			return levels, err
		}
		levels, actor = levels+1, name
	}
}
