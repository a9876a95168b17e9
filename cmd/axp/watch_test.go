package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"axprocess"
	"axprocess/host"
)

// TestWatchAfterLoss: after a loss who has ended unseen is forgotten, and who was
// started unseen below one that is watched is taken in.
func TestWatchAfterLoss(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	self, child := axprocess.PID(os.Getpid()), axprocess.PID(cmd.Process.Pid)
	s, err := host.Read(host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	v := &watched{snapshot: s, flags: &watchFlags{}, out: newOutput(nil, &out), comm: map[axprocess.PID]string{self: "test", maxPID: "gone"}, below: self}
	for _, missed := range []uint32{0, 3} {
		if err := v.tell(host.Change{Kind: host.Lost, Missed: missed}); err != nil {
			t.Fatal(err)
		}
	}
	if _, is := v.comm[maxPID]; is || v.comm[child] == "" || v.comm[self] == "" {
		t.Errorf("watched after a loss: %v", v.comm)
	}
	if !strings.Contains(out.String(), "changes are being lost") || !strings.Contains(out.String(), "3 changes lost") {
		t.Errorf("told: %s", out.String())
	}
	if v.over() {
		t.Error("it is over, and they live")
	}
}
