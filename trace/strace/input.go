package strace

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// This file is about bytes: what is compressed is opened by its magic bytes, and
// lines are handed out one at a time, however long.
//
// Invariants: memory is bounded, whatever the input; a last line without its
// newline is never handed out, since a number in it may be cut.

const (
	bufferSize = 256 << 10
	headSize   = 64 << 10 // what is kept of a longer line's beginning
	tailSize   = 1 << 10  // and of its end, where the result is
)

// Open returns what r holds, unpacked if its first bytes are those of gzip or
// zstd. Close frees what unpacking took; r stays open.
func Open(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, bufferSize)
	magic, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case len(magic) >= 2 && magic[0] == 0x1f && magic[1] == 0x8b:
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return z, nil
	case string(magic) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(b, zstd.WithDecoderMaxMemory(256<<20), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(b), nil
}

// lines reads lines of any length.
type lines struct {
	in   *bufio.Reader
	n    int64  // lines handed out
	long []byte // a line that did not fit
	cut  error  // why the last line is missing its end; nil if it isn't
}

func newLines(r io.Reader) *lines {
	return &lines{in: bufio.NewReaderSize(r, bufferSize)}
}

// next returns a line without its newline, valid until the next call; of a line
// longer than headSize + tailSize the middle is left out. At the end, io.EOF.
func (l *lines) next() ([]byte, error) {
	raw, err := l.in.ReadSlice('\n')
	if err == nil {
		l.n++
		return trimEnd(raw), nil
	}
	if errors.Is(err, bufio.ErrBufferFull) {
		return l.nextLong(raw)
	}
	return nil, l.ended(len(raw) > 0, err)
}

func (l *lines) nextLong(raw []byte) ([]byte, error) {
	l.long = append(l.long[:0], raw[:headSize]...)
	tail := append(make([]byte, 0, bufferSize+tailSize), raw[headSize:]...)
	for {
		if len(tail) > tailSize {
			tail = append(tail[:0], tail[len(tail)-tailSize:]...)
		}
		raw, err := l.in.ReadSlice('\n')
		tail = append(tail, raw...)
		switch {
		case err == nil:
			if len(tail) > tailSize {
				tail = tail[len(tail)-tailSize:]
			}
			l.n++
			l.long = append(l.long, tail...)
			return trimEnd(l.long), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, l.ended(true, err)
		}
	}
}

// ended notes how the input ends. Truncated compressed data is a cut, like a
// missing newline; other errors are the caller's.
func (l *lines) ended(rest bool, err error) error {
	switch {
	case errors.Is(err, io.EOF):
		if rest {
			l.cut = errors.New("its last line has no end")
		}
		return io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		l.cut = errors.New("its compressed data ends early")
		return io.EOF
	}
	return err
}

func trimEnd(b []byte) []byte {
	b = b[:len(b)-1]
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b
}
