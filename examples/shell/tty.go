package main

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"syscall"

	"axprocess"
)

// This file is about the terminal's bytes: lines, echo, keys. Who may read and
// write, and whom a key's signal reaches, the model decides.

// The keys that mean something.
const (
	keyInterrupt = 3    // ctrl-C
	keyEOF       = 4    // ctrl-D
	keyBackspace = 0x7f //
	keySuspend   = 26   // ctrl-Z
	keyQuit      = 28   // ctrl-\
)

var keySignals = map[byte]axprocess.Signal{
	keyInterrupt: axprocess.SIGINT,
	keySuspend:   axprocess.SIGTSTP,
	keyQuit:      axprocess.SIGQUIT,
}

// tty is a terminal: its controlling side in the model, its bytes here.
type tty struct {
	term *axprocess.Terminal
	out  io.Writer

	mu      sync.Mutex
	line    []byte   // being typed
	lines   [][]byte // typed; an empty one is the end of input
	changed chan struct{}
}

func newTTY(table *axprocess.Table, out io.Writer) *tty {
	return &tty{term: table.NewTerminal(nil), out: out, changed: make(chan struct{})}
}

// typed is what the keyboard sends.
func (y *tty) typed(keys []byte) {
	for _, key := range keys {
		if sig, is := keySignals[key]; is {
			y.mu.Lock()
			y.line = nil
			y.echo('^', key+'@')
			y.mu.Unlock()
			check(y.term.Signal(sig)) // the number is one of ours
			continue
		}
		y.key(key)
	}
}

func (y *tty) key(key byte) {
	y.mu.Lock()
	defer y.mu.Unlock()
	switch key {
	case '\r', '\n':
		y.echo('\r', '\n')
		y.enter('\n')
	case keyEOF:
		y.enter()
	case keyBackspace:
		if len(y.line) > 0 {
			y.line = y.line[:len(y.line)-1]
			y.echo('\b', ' ', '\b')
		}
	default:
		y.line = append(y.line, key)
		y.echo(key)
	}
}

// enter ends a line; the lock is held.
func (y *tty) enter(end ...byte) {
	y.lines = append(y.lines, append(y.line, end...))
	y.line = nil
	close(y.changed)
	y.changed = make(chan struct{})
}

func (y *tty) echo(b ...byte) { _, _ = y.out.Write(b) } // a screen that is gone shows nothing

// errBackground is a terminal that may not be read.
var errBackground = errors.New("input/output error")

func (y *tty) tryRead(t *task, buf []byte) (int, bool, <-chan struct{}, error) {
	switch access, err := t.process.ReadTerminal(y.term); {
	case errors.Is(err, syscall.ESRCH):
		return 0, false, nil, errKilled
	case err != nil:
		return 0, false, nil, errBackground
	case access == axprocess.Signalled:
		return 0, false, nil, nil // stopped, most likely: the model's news will tell
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if len(y.lines) == 0 {
		return 0, false, y.changed, nil
	}
	n := copy(buf, y.lines[0])
	if y.lines[0] = y.lines[0][n:]; len(y.lines[0]) == 0 {
		y.lines = y.lines[1:]
	}
	return n, true, nil, nil
}

func (y *tty) tryWrite(t *task, buf []byte) (int, <-chan struct{}, error) {
	const tostop = false
	if _, err := t.process.WriteTerminal(y.term, tostop); err != nil {
		return 0, nil, errKilled
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	_, err := y.out.Write(bytes.ReplaceAll(buf, []byte("\n"), []byte("\r\n")))
	return len(buf), nil, err
}

// The terminal is open as long as the world is.
func (y *tty) retain()  {}
func (y *tty) release() {}
