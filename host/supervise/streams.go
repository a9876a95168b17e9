package supervise

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// This file is about standard streams: files are passed on as they are; for other
// readers and writers there is a pipe and a copy, as in os/exec.
//
// Invariant: a descendant that holds a pipe can't make Wait hang: once what was
// left has been dealt with, a copy gets what is in the pipe and no more.

// copying is one pipe's copy.
type copying struct {
	ours  *os.File // our end of the pipe
	input bool
	copy  func() error
	done  chan error
}

func (c *copying) run() { c.done <- c.copy() }

func (c *copying) abandon() { _ = c.ours.Close() }

// streams are the child's ends.
type streams struct {
	files []*os.File
	own   []*os.File // to close after the start
}

func (s *streams) close() {
	for _, f := range s.own {
		_ = f.Close()
	}
}

func (s *streams) fds() []uintptr {
	fds := make([]uintptr, len(s.files))
	for i, f := range s.files {
		fds[i] = f.Fd()
	}
	return fds
}

// files makes the three streams.
func (c *Cmd) files() (*streams, error) {
	s := &streams{}
	err := c.input(s)
	if err == nil {
		err = c.output(s, c.Stdout)
	}
	if err == nil && c.Stderr != nil && sameWriter(c.Stderr, c.Stdout) {
		s.files = append(s.files, s.files[1])
	} else if err == nil {
		err = c.output(s, c.Stderr)
	}
	if err != nil {
		s.close()
		for _, copying := range c.copies {
			copying.abandon()
		}
		return nil, err
	}
	return s, nil
}

// sameWriter says whether both are one; what can't be compared isn't.
func sameWriter(a, b io.Writer) bool {
	defer func() { _ = recover() }() // comparing may panic: then they differ
	return a == b
}

func (c *Cmd) input(s *streams) error {
	f, isFile := c.Stdin.(*os.File)
	switch {
	case isFile && f != nil:
		s.files = append(s.files, f)
		return nil
	case c.Stdin == nil || isFile:
		return s.null(os.O_RDONLY)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	s.files, s.own = append(s.files, r), append(s.own, r)
	c.copies = append(c.copies, &copying{ours: w, input: true, done: make(chan error, 1), copy: func() error {
		_, err := io.Copy(w, c.Stdin)
		if cerr := w.Close(); err == nil {
			err = cerr
		}
		if errors.Is(err, os.ErrClosed) || errors.Is(err, syscall.EPIPE) {
			return nil // the command has had enough
		}
		return err
	}})
	return nil
}

func (c *Cmd) output(s *streams, to io.Writer) error {
	f, isFile := to.(*os.File)
	switch {
	case isFile && f != nil:
		s.files = append(s.files, f)
		return nil
	case to == nil || isFile:
		return s.null(os.O_WRONLY)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	s.files, s.own = append(s.files, w), append(s.own, w)
	c.copies = append(c.copies, &copying{ours: r, done: make(chan error, 1), copy: func() error {
		defer r.Close()
		_, err := io.Copy(to, r)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return rest(to, r) // finishCopies has ended it
		}
		return err
	}})
	return nil
}

func (s *streams) null(mode int) error {
	f, err := os.OpenFile(os.DevNull, mode, 0)
	if err == nil {
		s.files, s.own = append(s.files, f), append(s.own, f)
	}
	return err
}

// rest copies what is in a pipe at this moment.
func rest(to io.Writer, r *os.File) error {
	if err := r.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	raw, err := r.SyscallConn()
	if err != nil {
		return err
	}
	var n int
	var ierr error
	if err := raw.Control(func(fd uintptr) { n, ierr = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil || ierr != nil {
		return errors.Join(err, ierr)
	}
	_, err = io.CopyN(to, r, int64(n))
	return err
}

// finishCopies ends the copies. What may stay, and what nobody saw, may hold a pipe
// as long as it likes: what is in it now is all that counts.
func (c *Cmd) finishCopies() error {
	var errs []error
	for _, copying := range c.copies {
		if !copying.input {
			_ = copying.ours.SetReadDeadline(time.Now())
			errs = append(errs, <-copying.done)
			continue
		}
		select { // nobody reads it any more, and the reader that feeds it may block
		case err := <-copying.done:
			errs = append(errs, err)
		case <-time.After(feedLimit):
		}
	}
	return errors.Join(errs...)
}

// feedLimit is how long is waited for what feeds the command's input, after its
// end.
const feedLimit = 200 * time.Millisecond
