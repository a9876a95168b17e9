// Package strace reads logs of strace(1), lines at a time: any mixture of -f, -ff,
// -t, -tt, -ttt, -r, -T, -i, -n, -y, -yy, -Y and --decode-pids=pidns, of any
// architecture whose calls strace names, plain or packed by gzip or zstd.
package strace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// This file is about a log as a whole: its lines in order, and whether it is one.
//
// Invariants: memory is bounded; what isn't strace's is counted, never guessed;
// what is no log is refused with the line that shows it, before much is read.

// Reader reads one log.
type Reader struct {
	lines *lines
	line  Line
	held  []byte // a line into which strace has put a message, until its rest comes
	joins []byte

	known      int64 // lines that read as strace's
	noise      int64
	firstNoise int64
	sample     string // what the first noise looked like
	bytes      int64
}

// NewReader reads a log from r, which Open may have unpacked.
func NewReader(r io.Reader) *Reader { return &Reader{lines: newLines(r)} }

// A log shows itself within this much, or it isn't one: what a program prints
// before its first call that is shown can't be longer.
const (
	patienceLines = 10_000
	patienceBytes = 16 << 20
)

// FormatError says that a file is no log, or not one that can be read.
type FormatError struct {
	Line   int64
	Reason string
}

// Error returns "line N: reason".
func (e *FormatError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Next reads the next line. The result is valid until the next call. io.EOF at
// the end; *FormatError if this is no log; other errors are the source's.
func (r *Reader) Next() (*Line, error) {
	text, err := r.lines.next()
	if err != nil {
		return nil, r.end(err)
	}
	r.bytes += int64(len(text)) + 1
	l := &r.line
	l.Number = r.lines.n
	if text = r.assemble(text); text == nil {
		return l, nil // a message in the middle of a line
	}
	l.parse(text)
	if l.Kind != Noise {
		r.known++
		return l, nil
	}
	if r.noise++; r.noise == 1 {
		r.firstNoise, r.sample = l.Number, excerpt(text)
	}
	if r.known == 0 && (r.noise >= patienceLines || r.bytes >= patienceBytes) {
		return nil, r.stranger()
	}
	return l, nil
}

var (
	process  = []byte("strace: Process ")
	attached = []byte(" attached")
)

// assemble puts together a line that strace has interrupted by a message about a
// new process; where it has just done so it returns nil, and r.line is the
// message.
func (r *Reader) assemble(text []byte) []byte {
	if bytes.HasSuffix(text, attached) {
		if at := bytes.LastIndex(text, process); at > 0 {
			if n, _, ok := number(text[at+len(process):]); ok && n > 0 && n <= maxTID && len(r.held) < headSize {
				r.held = append(r.held, text[:at]...)
				r.line = Line{Number: r.line.Number, Kind: Attached, Other: int32(n), Spent: -1}
				return nil
			}
		} else if at == 0 {
			return text // on a line of its own, perhaps within a line that is held
		}
	}
	if len(r.held) == 0 {
		return text
	}
	r.joins = append(append(r.joins[:0], r.held...), text...)
	r.held = r.held[:0]
	return r.joins
}

// end is what comes after the last line.
func (r *Reader) end(err error) error {
	switch {
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("after line %d: %w", r.lines.n, err)
	case r.known > 0:
		return io.EOF
	case r.noise > 0:
		return r.stranger()
	case r.lines.cut != nil:
		return &FormatError{1, "the only line has no end"}
	}
	return &FormatError{1, "it is empty"}
}

func (r *Reader) stranger() error {
	return &FormatError{r.firstNoise, "not a line of strace: " + r.sample}
}

// Counts says how many lines there were, and how many of them were not strace's
// with the first such line's number.
func (r *Reader) Counts() (lines, noise, firstNoise int64) {
	return r.lines.n, r.noise, r.firstNoise
}

// Cut says why the log's last line is missing or incomplete, and which it is; nil
// if the log is whole.
func (r *Reader) Cut() error {
	if r.lines.cut == nil {
		return nil
	}
	return &FormatError{r.lines.n + 1, r.lines.cut.Error()}
}

// excerpt shows the beginning of a line in printable characters.
func excerpt(b []byte) string {
	if len(b) > 40 {
		return strconv.QuoteToASCII(string(b[:40])) + "…"
	}
	return strconv.QuoteToASCII(string(b))
}
