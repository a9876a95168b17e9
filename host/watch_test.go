package host

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"axprocess"
)

// watchOrSkip begins a watch, where this machine lets us.
func watchOrSkip(t *testing.T) *Watcher {
	t.Helper()
	w, err := Watch()
	if errors.Is(err, ErrNoWatch) {
		t.Skip("not run: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// TestWatch: the life of a real process is told in order: its fork, its exec, its
// session, its end, and who its parent was. Where other processes of the machine
// make the kernel lose changes, it says so, and the test begins again.
func TestWatch(t *testing.T) {
	w := watchOrSkip(t)
	for range 10 {
		kinds, end, lost := lifeOf(t, w)
		if lost {
			continue
		}
		if want := []ChangeKind{Forked, Execed, SessionMade, Execed, Exited}; !slices.Equal(kinds, want) {
			t.Errorf("%v, want %v", kinds, want)
		}
		if end.Status != 3<<8 || end.TID != end.PID || end.Parent == 0 || end.At <= 0 {
			t.Errorf("its end: %+v", end)
		}
		return
	}
	t.Skip("not run: ten times this busy machine's kernel lost what was to be seen")
}

// lifeOf runs a process and returns what happened to it.
func lifeOf(t *testing.T, w *Watcher) (kinds []ChangeKind, end Change, lost bool) {
	t.Helper()
	cmd := exec.Command("setsid", "sh", "-c", "exit 3")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := axprocess.PID(cmd.Process.Pid)
	_ = cmd.Wait() // 3
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		c, err := w.Next(ctx)
		switch {
		case err != nil:
			t.Fatalf("after %v: %v", kinds, err)
		case c.Kind == Lost:
			return nil, c, true
		case c.PID != pid || c.Kind == Renamed:
			continue
		}
		if kinds = append(kinds, c.Kind); c.Kind == Exited {
			return kinds, c, false
		}
	}
}

// TestWatchEnds: a watch that nothing comes from any more ends with its context,
// and goes on with another.
func TestWatchEnds(t *testing.T) {
	w := watchOrSkip(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 1000 {
		if _, err := w.Next(ctx); err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			return
		}
	}
	t.Error("it does not end")
}

// message is one of the connector's.
func message(what, processor, number uint32, rest ...uint32) []byte {
	e := binary.NativeEndian
	b := make([]byte, headLen+eventLen, headLen+eventLen+4*len(rest))
	e.PutUint32(b[16:], connectorProcess)
	e.PutUint32(b[20:], connectorProcess)
	e.PutUint32(b[24:], number)
	e.PutUint32(b[headLen:], what)
	e.PutUint32(b[headLen+4:], processor)
	e.PutUint64(b[headLen+8:], 5)
	for _, n := range rest {
		b = e.AppendUint32(b, n)
	}
	return b
}

// TestWatchLoss: what is missing is counted exactly, for each processor by
// itself, also where its numbers wrap.
func TestWatchLoss(t *testing.T) {
	w := &Watcher{next: map[uint32]uint32{}}
	w.take(message(whatExec, 0, 10, 7, 7))
	w.take(message(whatExec, 1, 0xFFFFFFFE, 8, 8))
	w.take(message(whatExec, 0, 11, 7, 7))
	w.take(message(whatExec, 0, 15, 7, 7))
	w.take(message(4, 1, 0xFFFFFFFF)) // of no interest, and not missing
	w.take(message(whatExec, 1, 2, 8, 8))
	w.take(message(whatNone, 9, 0, 0)) // an answer
	w.take([]byte("no message"))
	var got []uint32
	for _, c := range w.queued {
		if c.Kind == Lost {
			got = append(got, c.Missed)
		}
	}
	if len(w.queued) != 7 || len(got) != 2 || got[0] != 3 || got[1] != 2 {
		t.Errorf("missing %v in %v", got, w.queued)
	}
}

// TestArgs: what a live process is called.
func TestArgs(t *testing.T) {
	pid := axprocess.PID(os.Getpid())
	if args := Args(pid); !slices.Equal(args, os.Args) {
		t.Errorf("%q, want %q", args, os.Args)
	}
	if name := Comm(pid); name == "" || strings.Contains(name, "\n") {
		t.Errorf("%q", name)
	}
	if Args(maxPID) != nil || Comm(maxPID) != "" {
		t.Error("a process that can't be has a name")
	}
}

func TestChangeWords(t *testing.T) {
	for k := Forked; k <= Lost; k++ {
		if k.String() == "" {
			t.Errorf("kind %d has no word", k)
		}
	}
	if ChangeKind(99).String() != "kind 99" {
		t.Error("a kind out of range has a word")
	}
}

// FuzzChange: whatever a message is, reading it ends, and what is told is whole.
func FuzzChange(f *testing.F) {
	f.Add(message(whatFork, 0, 1, 1, 1, 2, 2))
	f.Add(message(whatComm, 0, 1, 1, 1, 0x41414141, 0x41414141, 0x41414141, 0x41414141))
	f.Add(message(whatExit, 0, 1, 2, 2, 256, 17, 1, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, _, ok := parseChange(b)
		if ok && (c.Kind > Lost || c.At < 0 || len(c.Comm) > 16) {
			t.Errorf("%+v", c)
		}
	})
}
