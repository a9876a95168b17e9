// Package journal keeps the process life of a run in a file: a header, a snapshot
// of the table, and each event after it, a line each, as JSON.
//
// What was written can be read up to the last whole line, whatever happened then:
// each line is written by one call, is whole when its newline is there, and carries
// a checksum of what it says.
package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"time"

	"axprocess"
)

// This file is about writing.
//
// Invariant: what has been returned from without an error has been handed to the
// system, so the death of the writer loses none of it.

const (
	format  = "axprocess journal"
	version = 1
)

// Head is the first line.
type Head struct {
	Command []string  `json:"command"`
	Start   time.Time `json:"start"`
	Host    string    `json:"host,omitempty"`
	Boot    string    `json:"boot,omitempty"` // the boot's id: a number means nothing in another
	Kernel  string    `json:"kernel,omitempty"`
}

// headLine is how Head stands in the file.
type headLine struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Head
}

// Name tells what a process executes.
type Name struct {
	ID   uint64        `json:"id"` // its unique id in the table
	PID  axprocess.PID `json:"pid"`
	Args []string      `json:"args"`
}

// End tells how the run ended. A journal without it was cut off.
type End struct {
	At     time.Time           `json:"at"`
	Cause  axprocess.WaitCause `json:"cause"`
	Code   int32               `json:"code"`
	Lost   int                 `json:"lost"` // events known to be missing; < 0: it can't be known
	Events uint64              `json:"events"`
}

// Missed tells that events were not kept: the next entry is a new snapshot.
type Missed struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// entry is each line after the head: one of these, and a checksum of it.
type entry struct {
	Sum      string          `json:"sum"` // CRC-32C of what stands in the other field
	Event    json.RawMessage `json:"event,omitempty"`
	Name     json.RawMessage `json:"name,omitempty"`
	Missed   json.RawMessage `json:"missed,omitempty"`
	End      json.RawMessage `json:"end,omitempty"`
	Snapshot json.RawMessage `json:"snapshot,omitempty"` // the lines of Snapshot.Save follow
}

// snapshotMark is what stands in front of a snapshot's lines.
type snapshotMark struct {
	Seq   uint64 `json:"seq"`
	Lines int    `json:"lines"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sum(b []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(b, castagnoli)) }

// Writer writes a journal. It is for one goroutine at a time.
type Writer struct {
	w      io.Writer
	buf    bytes.Buffer
	events uint64
}

// NewWriter begins a journal: its head and the table as it is. The errors of all
// its methods are w's.
func NewWriter(w io.Writer, head Head, from *axprocess.Snapshot) (*Writer, error) {
	j := &Writer{w: w}
	line, err := json.Marshal(headLine{format, version, head})
	if err != nil {
		return nil, err
	}
	j.buf.Write(line)
	j.buf.WriteByte('\n')
	if err := j.snapshot(from); err != nil {
		return nil, err
	}
	return j, j.flush()
}

func (j *Writer) snapshot(from *axprocess.Snapshot) error {
	var lines bytes.Buffer
	if err := from.Save(&lines); err != nil {
		return err
	}
	if err := j.line("snapshot", snapshotMark{from.Seq, bytes.Count(lines.Bytes(), []byte("\n"))}); err != nil {
		return err
	}
	j.buf.Write(lines.Bytes())
	return nil
}

// line adds an entry to what is written next.
func (j *Writer) line(kind string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	j.buf.WriteString(`{"sum":"`)
	j.buf.WriteString(sum(text))
	j.buf.WriteString(`",` + strconv.Quote(kind) + `:`)
	j.buf.Write(text)
	j.buf.WriteString("}\n")
	return nil
}

func (j *Writer) flush() error {
	_, err := j.w.Write(j.buf.Bytes())
	j.buf.Reset()
	return err
}

// Events writes events in one call, each followed by what named tells of it; named
// may be nil.
func (j *Writer) Events(events []axprocess.Event, named func(e *axprocess.Event) *Name) error {
	for i := range events {
		if err := j.line("event", &events[i]); err != nil {
			return err
		}
		j.events++
		if named == nil {
			continue
		}
		if name := named(&events[i]); name != nil {
			if err := j.line("name", name); err != nil {
				return err
			}
		}
	}
	return j.flush()
}

// Restart writes that events were missed, and the table as it is now.
func (j *Writer) Restart(missed Missed, from *axprocess.Snapshot) error {
	if err := j.line("missed", missed); err != nil {
		return err
	}
	if err := j.snapshot(from); err != nil {
		return err
	}
	return j.flush()
}

// End writes the last line.
func (j *Writer) End(end End) error {
	end.Events = j.events
	if err := j.line("end", end); err != nil {
		return err
	}
	return j.flush()
}
