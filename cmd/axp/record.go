package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"axprocess"
	"axprocess/host/supervise"
	"axprocess/trace/journal"
)

// This file is about axp record: what axp run follows, written down as it happens.
//
// Invariant: an event that axp knew of when it was killed is in the file, but for
// those of the last moment; the file can be read whenever that was.

// recordCommand runs a command and keeps its process life.
func recordCommand(a *app) *cobra.Command {
	var file, follow string
	var noArgs bool
	c := &cobra.Command{
		Use:   "record -o FILE -- CMD [ARG…]",
		Short: "Run a command and write down the life of all that it starts",
		Long: `axp record starts CMD, follows every descendant as axp run does, and writes each
event with its time to a file that axp replay reads. What is left when CMD has
ended is waited for. If axp is killed, the file holds what had happened.

The exit code is CMD's; if a signal killed CMD, axp dies of the same one.`,
		Example: `  axp record -o build.axp -- make -j2; axp replay build.axp`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cmd := supervise.Command(args[0], args[1:]...)
			way, err := supervise.ParseFollow(follow)
			if err != nil {
				return err
			}
			cmd.Follow, cmd.Leaks, cmd.NoArgs = way, supervise.Await, noArgs
			return a.record(cmd, file)
		},
	}
	flags := c.Flags()
	flags.SetInterspersed(false)
	flags.StringVarP(&file, "output", "o", "", "the `FILE` to write")
	flags.StringVar(&follow, "follow", "auto", "how to follow: auto, ebpf, ptrace or proc")
	flags.BoolVar(&noArgs, "no-args", false, "keep arguments out of the file")
	_ = c.MarkFlagRequired("output")
	return c
}

// recordedEvents is how many events may wait to be written before some are missed.
const recordedEvents = 1 << 17

func (a *app) record(cmd *supervise.Cmd, file string) error {
	cmd.TableOptions = append(cmd.TableOptions, axprocess.WithEvents(recordedEvents), axprocess.WithClock(time.Now))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Warn = func(text string) { fmt.Fprintf(a.stderr, "axp: record: %s\n", text) }
	table := cmd.Table()
	if table == nil {
		return cmd.Start() // it says why
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	snap := table.Snapshot()
	events, err := table.EventsAfter(snap.Seq)
	if err != nil {
		return err
	}
	w, err := journal.NewWriter(out, recordHead(cmd.Args), snap)
	if err != nil {
		return err
	}
	keys := newSignals(cmd, findTerminal(), false, true)
	defer keys.stop()
	if err := cmd.Start(); err != nil {
		os.Remove(file)
		return err
	}
	keys.begin()
	ctx, stop := context.WithCancel(context.Background())
	written := make(chan error, 1)
	go func() { written <- writeEvents(ctx, w, out, table, events, cmd.NoArgs) }()
	rep, runErr := cmd.Wait()
	stop()
	err = <-written
	if err == nil {
		err = w.End(journal.End{At: rep.End, Cause: rep.Cause, Code: rep.Code, Lost: rep.Lost})
	}
	if err = errors.Join(err, out.Close()); err != nil {
		fmt.Fprintf(a.stderr, "axp: record: %s: %v\n", file, err)
	}
	if runErr != nil {
		fmt.Fprintf(a.stderr, "axp: record: the run could not be followed exactly: %v\n", runErr)
	}
	return ended(rep, false, false)
}

func recordHead(args []string) journal.Head {
	h := journal.Head{Command: args, Start: time.Now()}
	h.Host, _ = os.Hostname()
	if b, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		h.Boot = strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		h.Kernel = strings.TrimSpace(string(b))
	}
	return h
}

// writeEvents writes what happens until ctx ends, then what is left.
func writeEvents(ctx context.Context, w *journal.Writer, out *os.File, table *axprocess.Table, events *axprocess.Reader, noArgs bool) error {
	buf := make([]axprocess.Event, 4096)
	named := func(e *axprocess.Event) *journal.Name { return nameOf(e, noArgs) }
	synced := time.Now()
	for {
		n, err := events.Read(ctx, buf)
		if ctx.Err() != nil && n == 0 {
			n, err = events.TryRead(buf)
			if n == 0 && err == nil {
				return out.Sync()
			}
		}
		var missed *axprocess.MissedError
		switch {
		case errors.As(err, &missed):
			if events, err = restart(w, table, missed); err != nil {
				return err
			}
			continue
		case err != nil && n == 0:
			return err
		}
		if err := w.Events(buf[:n], named); err != nil {
			return err
		}
		if time.Since(synced) > time.Second {
			synced = time.Now()
			if err := out.Sync(); err != nil {
				return err
			}
		}
	}
}

// restart goes on after a gap, from the table as it is now.
func restart(w *journal.Writer, table *axprocess.Table, missed *axprocess.MissedError) (*axprocess.Reader, error) {
	snap := table.Snapshot()
	events, err := table.EventsAfter(snap.Seq)
	if err != nil {
		return nil, err
	}
	return events, w.Restart(journal.Missed{From: missed.First, To: snap.Seq}, snap)
}

// nameOf reads what a process executes, once it has called exec or was forked. It
// may have gone on to something else, or be gone.
func nameOf(e *axprocess.Event, noArgs bool) *journal.Name {
	if e.Kind != axprocess.EventForked && e.Kind != axprocess.EventExeced && e.Kind != axprocess.EventImported {
		return nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", e.PID))
	if err != nil || len(text) == 0 {
		return nil
	}
	n := &journal.Name{ID: e.ID, PID: e.PID}
	for arg := range bytes.SplitSeq(bytes.TrimSuffix(text, []byte{0}), []byte{0}) {
		if n.Args = append(n.Args, string(arg)); noArgs || len(n.Args) == 64 {
			break
		}
	}
	return n
}
