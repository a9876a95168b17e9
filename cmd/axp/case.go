package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"axprocess/explain"
	"axprocess/host"
	"axprocess/trace/journal"
	"axprocess/trace/replay"
	"axprocess/trace/strace"
)

// This file is about what axp why and axp whatif are asked about: the host now, a
// saved /proc, or a moment of a record.

// caseFlags say where a case is taken from.
type caseFlags struct {
	root, record, at string
	json             bool
}

func (f *caseFlags) register(c *cobra.Command) {
	flags := c.PersistentFlags()
	flags.StringVar(&f.root, "proc", host.Root, "read a saved /proc in `DIR`")
	flags.StringVar(&f.record, "record", "", "of a record, a `FILE` of axp record or strace -f, instead of the host")
	flags.StringVar(&f.at, "at", "", "at this `TIME` of the record: since its start, as 1.5s, or RFC 3339;\nits end unless given")
	flags.BoolVar(&f.json, "json", false, "print one JSON object")
	c.MarkFlagsMutuallyExclusive("proc", "record")
}

// read makes the case.
func (f *caseFlags) read() (*explain.Case, error) {
	if f.record != "" {
		return f.readRecord()
	}
	if f.at != "" {
		return nil, errors.New("--at is a moment of a --record")
	}
	s, err := host.Read(host.Options{Root: f.root, Untold: true, Users: true})
	if err != nil {
		return nil, err
	}
	return explain.OfHost(s), nil
}

func (f *caseFlags) readRecord() (*explain.Case, error) {
	file, err := os.Open(f.record)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unpacked, err := strace.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.record, err)
	}
	defer unpacked.Close()
	in := bufio.NewReaderSize(unpacked, 64<<10)
	beginning, _ := in.Peek(64)
	of := f.ofLog
	if journal.IsJournal(beginning) {
		of = f.ofJournal
	}
	c, err := of(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.record, err)
	}
	return c, nil
}

func (f *caseFlags) ofJournal(in io.Reader) (*explain.Case, error) {
	j, err := journal.NewReader(in)
	if err != nil {
		return nil, err
	}
	until, err := moment(f.at, j.Head.Start)
	if err != nil {
		return nil, err
	}
	record := explain.NewRecord(until)
	for more := true; more; {
		e, err := j.Next()
		switch {
		case errors.Is(err, io.EOF):
			more = false
		case err != nil:
			return nil, err
		case e.Snapshot != nil:
			record.Snapshot(e.Snapshot)
		case e.Name != nil:
			record.Name(e.Name.ID, e.Name.Args)
		case e.Event != nil:
			if more, err = record.Event(*e.Event); err != nil {
				return nil, fmt.Errorf("line %d: %w", e.Line, err)
			}
		}
	}
	return record.Case()
}

// ofLog replays a log of strace up to the moment.
func (f *caseFlags) ofLog(in io.Reader) (*explain.Case, error) {
	until, err := time.ParseDuration(f.at)
	if f.at != "" && (err != nil || until <= 0) {
		return nil, fmt.Errorf("--at %q is no time since the log's first line, as 1.5s", f.at)
	}
	report, err := replay.Strace(f.record, strace.NewReader(in), replay.Options{Keep: true, Until: until})
	if err != nil {
		return nil, err
	}
	if f.at != "" && !report.Timed {
		return nil, errors.New("--at: the log has no time stamps")
	}
	return explain.OfReplay(report.Kept)
}

// moment reads a time as a person types it: since the start, or a date and time.
// The zero time: the end.
func moment(text string, start time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if since, err := time.ParseDuration(text); err == nil && since >= 0 {
		return start.Add(since), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("--at %q is neither a time since the start, as 1.5s, nor one of RFC 3339", text)
	}
	return at, nil
}
