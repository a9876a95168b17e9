package journal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"axprocess"
)

// written returns a journal of a small run, and its events.
func written(t testing.TB) ([]byte, []axprocess.Event) {
	t.Helper()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	table := axprocess.NewTable(axprocess.WithEvents(1000), axprocess.WithClock(func() time.Time {
		now = now.Add(time.Millisecond)
		return now
	}))
	init, err := table.NewInit(1).Leader(nil).Build()
	if err != nil {
		t.Fatal(err)
	}
	snap := table.Snapshot()
	events, err := table.EventsAfter(snap.Seq)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p, err := init.Fork(axprocess.NextPID).Leader(nil).Build()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Setsid(); err != nil {
			t.Fatal(err)
		}
		if err := p.GroupKill(axprocess.SIGKILL, false); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]axprocess.Event, 500)
	n, err := events.Read(context.Background(), buf)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := NewWriter(&out, Head{Command: []string{"x", "y"}, Start: now, Host: "h"}, snap)
	if err != nil {
		t.Fatal(err)
	}
	err = w.Events(buf[:n], func(e *axprocess.Event) *Name {
		if e.Kind == axprocess.EventForked {
			return &Name{e.ID, e.PID, []string{"prog", "arg"}}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.End(End{At: now, Cause: axprocess.Exited, Code: 3}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), buf[:n]
}

func readAll(b []byte) (all []*Entry, cut, err error) {
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, nil, err
	}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, r.Cut(), nil
		}
		if err != nil {
			return all, r.Cut(), err
		}
		all = append(all, e)
	}
}

// TestRoundTrip: what is written is read.
func TestRoundTrip(t *testing.T) {
	file, events := written(t)
	all, cut, err := readAll(file)
	if err != nil || cut != nil {
		t.Fatal(cut, err)
	}
	i, names := 0, 0
	for _, e := range all {
		switch {
		case e.Event != nil:
			if !reflect.DeepEqual(*e.Event, events[i]) {
				t.Errorf("event %d: %+v, want %+v", i, *e.Event, events[i])
			}
			i++
		case e.Name != nil:
			names++
		}
	}
	if end := all[len(all)-1].End; i != len(events) || names != 2 || end == nil || end.Code != 3 || end.Events != uint64(i) || all[0].Snapshot == nil {
		t.Errorf("%d events of %d, %d names, %+v", i, len(events), names, end)
	}
}

// TestCutAnywhere: a file that ends at any byte gives what is whole before it, and
// says where it was cut.
func TestCutAnywhere(t *testing.T) {
	file, _ := written(t)
	whole, _, _ := readAll(file)
	step := 1
	if testing.Short() {
		step = 3
	}
	for n := 0; n < len(file); n += step {
		all, cut, err := readAll(file[:n])
		headEnd := bytes.IndexByte(file, '\n')
		switch {
		case n <= headEnd:
			if err == nil {
				t.Fatalf("%d bytes are taken as a journal", n)
			}
			continue
		case err != nil:
			t.Fatalf("%d bytes: %v", n, err)
		case file[n-1] != '\n' && cut == nil:
			t.Fatalf("%d bytes: nobody noticed the cut", n)
		}
		for i, e := range all {
			if !reflect.DeepEqual(e, whole[i]) {
				t.Fatalf("%d bytes: entry %d differs", n, i)
			}
		}
	}
}

// TestChangedAnywhere: no changed byte passes for what was written.
func TestChangedAnywhere(t *testing.T) {
	file, _ := written(t)
	whole, _, _ := readAll(file)
	head := bytes.IndexByte(file, '\n')
	step := 1
	if testing.Short() {
		step = 7
	}
	for n := head + 1; n < len(file); n += step {
		hurt := bytes.Clone(file)
		hurt[n] ^= 1
		all, cut, err := readAll(hurt)
		if err == nil && cut == nil && !reflect.DeepEqual(all, whole) {
			t.Fatalf("byte %d, %q: not noticed", n, file[max(0, n-20):n+1])
		}
	}
}

// TestStrangers: what is no journal is refused.
func TestStrangers(t *testing.T) {
	for text, want := range map[string]string{
		"":        "line 1: it has no first line",
		"hello\n": "line 1: not a journal of axprocess",
		`{"format":"axprocess journal","version":9}` + "\n": "line 1: it is of version 9, and 1 is read here",
	} {
		if _, err := NewReader(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	file, _ := written(t)
	if !IsJournal(file) || IsJournal([]byte("22 getpid() = 3")) {
		t.Error("IsJournal")
	}
}

// TestMissed: where events were lost the journal says so, and goes on with a new
// snapshot.
func TestMissed(t *testing.T) {
	table := axprocess.NewTable()
	if _, err := table.NewInit(1).Build(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := NewWriter(&out, Head{}, table.Snapshot())
	if err == nil {
		err = w.Restart(Missed{3, 9}, table.Snapshot())
	}
	if err != nil {
		t.Fatal(err)
	}
	all, cut, err := readAll(out.Bytes())
	if err != nil || cut != nil || len(all) != 3 || all[1].Missed == nil || *all[1].Missed != (Missed{3, 9}) || all[2].Snapshot == nil {
		t.Errorf("%d entries, %v, %v", len(all), cut, err)
	}
}

func FuzzReader(f *testing.F) {
	file, _ := written(f)
	f.Add(file)
	f.Fuzz(func(_ *testing.T, data []byte) { _, _, _ = readAll(data) })
}
