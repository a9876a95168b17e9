package main

import "sync"

// This file is about what a process reads from and writes to: files that never
// block by themselves, so that a task can wait for them and for signals at once.

// file is open in some tasks. A try that can't go on returns a channel that is
// closed when it is worth another.
type file interface {
	tryRead(t *task, buf []byte) (n int, done bool, changed <-chan struct{}, err error)
	tryWrite(t *task, buf []byte) (n int, changed <-chan struct{}, err error)
	retain()
	release()
}

// pipeRoom is how much a pipe holds.
const pipeRoom = 64 << 10

// pipe is a bounded buffer between its two ends.
type pipe struct {
	mu      sync.Mutex
	buf     []byte
	readers int
	writers int
	changed chan struct{}
}

// newPipe returns the two ends, which nobody has open yet.
func newPipe() (r, w file) {
	p := &pipe{changed: make(chan struct{})}
	return pipeEnd{p, &p.readers}, pipeEnd{p, &p.writers}
}

// change tells all that wait; the lock is held.
func (p *pipe) change() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// pipeEnd is one end, which counts who has it open.
type pipeEnd struct {
	*pipe
	open *int
}

func (e pipeEnd) tryRead(_ *task, buf []byte) (int, bool, <-chan struct{}, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.buf) == 0 {
		return 0, e.writers == 0, e.changed, nil
	}
	n := copy(buf, e.buf)
	e.buf = e.buf[n:]
	e.change()
	return n, true, nil, nil
}

func (e pipeEnd) tryWrite(_ *task, buf []byte) (int, <-chan struct{}, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.readers == 0 {
		return 0, nil, errBroken
	}
	n := min(len(buf), pipeRoom-len(e.buf))
	if n > 0 {
		e.buf = append(e.buf, buf[:n]...)
		e.change()
	}
	return n, e.changed, nil
}

func (e pipeEnd) retain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	*e.open++
}

func (e pipeEnd) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if *e.open--; *e.open == 0 {
		e.change()
	}
}
