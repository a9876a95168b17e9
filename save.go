package axprocess

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
)

// This file is about snapshots in a file: JSON lines, which docs/snapshot.md
// describes for other readers and docs/snapshot.schema.json defines.
//
// Invariants:
//   - a file that was cut, changed, or is of another version is refused, with the
//     line and the reason; nothing is made of a part of it;
//   - reading takes memory in proportion to what was read, whatever the file
//     claims.

const (
	saveFormat  = "axprocess snapshot"
	saveVersion = 1
	maxSaveLine = 64 << 20 // bytes
)

// saveHead is the first line.
type saveHead struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Snapshot
	SessionCount int `json:"sessions"`
	GroupCount   int `json:"groups"`
	ProcessCount int `json:"processes"`
}

// saveLine is each of the others: one of these.
type saveLine struct {
	Session *SessionImage `json:"session,omitzero"`
	Group   *GroupImage   `json:"group,omitzero"`
	Process *ProcessImage `json:"process,omitzero"`
	End     *saveEnd      `json:"end,omitzero"`
}

// saveEnd is the last line.
type saveEnd struct {
	Lines  int    `json:"lines"`  // before this one
	SHA256 string `json:"sha256"` // of their bytes, line ends included
}

// FormatError says where a file of a snapshot is wrong, and why.
type FormatError struct {
	Line   int // from 1
	Reason string
}

// Error names the line and the reason.
func (e *FormatError) Error() string { return fmt.Sprintf("snapshot: line %d: %s", e.Line, e.Reason) }

// Save writes the snapshot, without data; see docs/snapshot.md for the format.
// The error is w's. O(all of it).
func (s *Snapshot) Save(w io.Writer) error {
	buffered := bufio.NewWriterSize(w, 64<<10)
	out := &lineWriter{w: buffered, sum: sha256.New()}
	head := saveHead{saveFormat, saveVersion, *s, len(s.Sessions), len(s.Groups), len(s.Processes)}
	out.line(head)
	for i := range s.Sessions {
		out.line(saveLine{Session: &s.Sessions[i]})
	}
	for i := range s.Groups {
		out.line(saveLine{Group: &s.Groups[i]})
	}
	for i := range s.Processes {
		out.line(saveLine{Process: &s.Processes[i]})
	}
	out.line(saveLine{End: &saveEnd{out.n, hex.EncodeToString(out.sum.Sum(nil))}})
	if out.err != nil {
		return out.err
	}
	return buffered.Flush()
}

// lineWriter writes values as lines, counts them, and adds them up.
type lineWriter struct {
	w   io.Writer
	sum hash.Hash
	n   int
	err error
}

func (out *lineWriter) line(v any) {
	text, err := json.Marshal(v)
	if err == nil && out.err == nil {
		text = append(text, '\n')
		out.sum.Write(text)
		out.n++
		_, err = out.w.Write(text)
	}
	out.err = cmpError(out.err, err)
}

func cmpError(first, then error) error {
	if first != nil {
		return first
	}
	return then
}

// Save writes a snapshot of t, as Snapshot.Save does.
func (t *Table) Save(w io.Writer) error { return t.Snapshot().Save(w) }

// Restore makes the table that was saved; options as for Snapshot.Table.
// *FormatError if the file is damaged, is none, or contradicts itself.
func Restore(r io.Reader, opts ...Option) (*Table, error) {
	snap, err := LoadSnapshot(r)
	if err != nil {
		return nil, err
	}
	t, err := snap.Table(opts...)
	var c *ContradictionError
	if errors.As(err, &c) {
		return nil, &FormatError{c.line(snap), c.What + ": " + c.Reason}
	}
	return t, err
}

// line says on which line of the file the contradiction is.
func (e *ContradictionError) line(s *Snapshot) int {
	switch e.part {
	case "session":
		return 2 + e.place
	case "group":
		return 2 + len(s.Sessions) + e.place
	case "process":
		return 2 + len(s.Sessions) + len(s.Groups) + e.place
	}
	return 1
}

// LoadSnapshot reads what Save wrote, up to its last line, and leaves the rest of r
// unread but for what it buffers; a *bufio.Reader is read no further. *FormatError
// if it is damaged or is none; the error of r otherwise. Whether the snapshot
// contradicts itself is for Snapshot.Table to say.
func LoadSnapshot(r io.Reader) (*Snapshot, error) {
	buffered, ok := r.(*bufio.Reader)
	if !ok {
		buffered = bufio.NewReaderSize(r, 64<<10)
	}
	in := &lineReader{r: buffered, sum: sha256.New()}
	head, err := in.head()
	if err != nil {
		return nil, err
	}
	snap := &head.Snapshot
	for range head.SessionCount {
		one, err := in.next("session")
		if err != nil {
			return nil, err
		}
		snap.Sessions = append(snap.Sessions, *one.Session)
	}
	for range head.GroupCount {
		one, err := in.next("group")
		if err != nil {
			return nil, err
		}
		snap.Groups = append(snap.Groups, *one.Group)
	}
	for range head.ProcessCount {
		one, err := in.next("process")
		if err != nil {
			return nil, err
		}
		snap.Processes = append(snap.Processes, *one.Process)
	}
	return snap, in.end()
}

// lineReader reads lines as values, counts them, and adds them up.
type lineReader struct {
	r   *bufio.Reader
	sum hash.Hash
	n   int
	buf []byte
}

func (in *lineReader) wrong(reason string, args ...any) error {
	return &FormatError{in.n, fmt.Sprintf(reason, args...)}
}

// line reads the next line, with its end.
func (in *lineReader) line() ([]byte, error) {
	in.n++
	in.buf = in.buf[:0]
	for {
		part, err := in.r.ReadSlice('\n')
		in.buf = append(in.buf, part...)
		switch {
		case len(in.buf) > maxSaveLine:
			return nil, in.wrong("it is longer than %d bytes", maxSaveLine)
		case err == nil:
			return in.buf, nil
		case err == io.EOF && len(in.buf) == 0:
			return nil, in.wrong("the file ends where more was announced")
		case err == io.EOF:
			return nil, in.wrong("the file ends in the middle of it")
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}

// decode reads one value, with the fields that are known and nothing after it.
func (in *lineReader) decode(line []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return in.wrong("it can't be read: %v", err)
	}
	if d.More() {
		return in.wrong("there is more than one value in it")
	}
	return nil
}

func (in *lineReader) head() (*saveHead, error) {
	line, err := in.line()
	if err != nil {
		return nil, err
	}
	// First what it is: a later version may have other fields.
	var is struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(line, &is); err != nil || is.Format != saveFormat {
		return nil, in.wrong("this is no %s", saveFormat)
	}
	if is.Version != saveVersion {
		return nil, in.wrong("version %d is not %d, the one that is known", is.Version, saveVersion)
	}
	head := new(saveHead)
	if err := in.decode(line, head); err != nil {
		return nil, err
	}
	in.sum.Write(line)
	for _, n := range [...]int{head.SessionCount, head.GroupCount, head.ProcessCount} {
		if n < 0 || n > int(max(head.MaxPID, 0)) {
			return nil, in.wrong("%d of a kind, with numbers below %d only", n, head.MaxPID)
		}
	}
	return head, nil
}

// next reads a line that has this kind of image.
func (in *lineReader) next(kind string) (one saveLine, err error) {
	line, err := in.line()
	if err != nil {
		return one, err
	}
	if err := in.decode(line, &one); err != nil {
		return one, err
	}
	in.sum.Write(line)
	has := map[string]bool{"session": one.Session != nil, "group": one.Group != nil, "process": one.Process != nil, "end": one.End != nil}
	for other, is := range has {
		if is != (other == kind) {
			return one, in.wrong("a %s is expected here, and nothing else", kind)
		}
	}
	return one, nil
}

// end checks the last line.
func (in *lineReader) end() error {
	want := saveEnd{in.n, hex.EncodeToString(in.sum.Sum(nil))}
	one, err := in.next("end")
	switch {
	case err != nil:
		return err
	case one.End.Lines != want.Lines:
		return in.wrong("it counts %d lines, and there are %d", one.End.Lines, want.Lines)
	case one.End.SHA256 != want.SHA256:
		return in.wrong("the checksum of the lines before is not %s: the file was changed", one.End.SHA256)
	}
	return nil
}
