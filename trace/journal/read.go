package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"axprocess"
)

// This file is about reading.
//
// Invariants: nothing is made of a line that is not whole, or whose checksum is not
// its own; what comes after such a line is not read. A line at the end that is not
// whole is a cut, which is no error; one in the middle is.

// FormatError says where a file is wrong, and why.
type FormatError struct {
	Line   int
	Reason string
}

// Error returns "line N: reason".
func (e *FormatError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// maxLine is more than any event needs.
const maxLine = 64 << 20

// Reader reads a journal.
type Reader struct {
	Head Head

	in   *bufio.Reader
	line int
	cut  error
	done bool
}

// Entry is what a line tells: one of its fields is set.
type Entry struct {
	Line     int
	Snapshot *axprocess.Snapshot
	Event    *axprocess.Event
	Name     *Name
	Missed   *Missed
	End      *End
}

// IsJournal says whether a file that begins like this is a journal.
func IsJournal(beginning []byte) bool {
	return bytes.HasPrefix(beginning, []byte(`{"format":"`+format+`"`))
}

// NewReader reads a journal's head. *FormatError if it is none, or of another
// version.
func NewReader(r io.Reader) (*Reader, error) {
	in := &Reader{in: bufio.NewReaderSize(r, 256<<10)}
	text, err := in.next()
	if errors.Is(err, io.EOF) {
		return nil, &FormatError{1, "it has no first line"}
	}
	if err != nil {
		return nil, err
	}
	var head headLine
	if err := json.Unmarshal(text, &head); err != nil || head.Format != format {
		return nil, &FormatError{1, "not a journal of axprocess"}
	}
	if head.Version != version {
		return nil, &FormatError{1, fmt.Sprintf("it is of version %d, and %d is read here", head.Version, version)}
	}
	in.Head = head.Head
	return in, nil
}

// next reads a line; io.EOF at the end, which may be a cut.
func (r *Reader) next() ([]byte, error) {
	var text []byte
	for {
		part, err := r.in.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case err == nil:
			r.line++
			return text[:len(text)-1], nil
		case errors.Is(err, bufio.ErrBufferFull) && len(text) < maxLine:
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, &FormatError{r.line + 1, "it is longer than any line can be"}
		case errors.Is(err, io.EOF):
			if len(text) > 0 {
				r.cut = &FormatError{r.line + 1, "the journal ends in it"}
			}
			return nil, io.EOF
		default:
			return nil, fmt.Errorf("after line %d: %w", r.line, err)
		}
	}
}

// Next reads what comes next. io.EOF at the end, or where the file was cut: then
// Cut says so. *FormatError if a line is damaged.
func (r *Reader) Next() (*Entry, error) {
	if r.done {
		return nil, io.EOF
	}
	text, err := r.next()
	if err != nil {
		r.done = true
		return nil, err
	}
	e, err := r.parse(text)
	if err != nil {
		r.done = true
	}
	return e, err
}

// Cut says where the file was cut, if it was in the middle of a line.
func (r *Reader) Cut() error { return r.cut }

func (r *Reader) parse(text []byte) (*Entry, error) {
	var raw entry
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, &FormatError{r.line, "not an entry of a journal"}
	}
	e := &Entry{Line: r.line}
	var inner json.RawMessage
	var to any
	var mark snapshotMark
	switch {
	case raw.Event != nil:
		e.Event = new(axprocess.Event)
		inner, to = raw.Event, e.Event
	case raw.Name != nil:
		e.Name = new(Name)
		inner, to = raw.Name, e.Name
	case raw.Missed != nil:
		e.Missed = new(Missed)
		inner, to = raw.Missed, e.Missed
	case raw.End != nil:
		e.End = new(End)
		inner, to = raw.End, e.End
	case raw.Snapshot != nil:
		inner, to = raw.Snapshot, &mark
	default:
		return nil, &FormatError{r.line, "an entry that says nothing"}
	}
	if sum(inner) != raw.Sum {
		return nil, &FormatError{r.line, "its checksum does not fit"}
	}
	if err := json.Unmarshal(inner, to); err != nil {
		return nil, &FormatError{r.line, err.Error()}
	}
	if raw.Snapshot != nil {
		return r.snapshot(e, mark)
	}
	return e, nil
}

// snapshot reads the lines of a snapshot. One that is not whole is a cut.
func (r *Reader) snapshot(e *Entry, mark snapshotMark) (*Entry, error) {
	var lines bytes.Buffer
	first := r.line
	for range mark.Lines {
		text, err := r.next()
		if errors.Is(err, io.EOF) {
			r.cut = &FormatError{r.line + 1, "the journal ends in a snapshot"}
			return nil, io.EOF
		}
		if err != nil {
			return nil, err
		}
		lines.Write(text)
		lines.WriteByte('\n')
	}
	snap, err := axprocess.LoadSnapshot(&lines)
	var damaged *axprocess.FormatError
	if errors.As(err, &damaged) {
		return nil, &FormatError{first + damaged.Line, damaged.Reason}
	}
	if err != nil {
		return nil, &FormatError{first + 1, err.Error()}
	}
	if snap.Seq != mark.Seq {
		return nil, &FormatError{first, "it names another snapshot than the one that follows"}
	}
	e.Snapshot = snap
	return e, nil
}
