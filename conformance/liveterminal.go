package conformance

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// This file is about the world's terminal, a pty: the driver holds its other end.

// openTerminal makes the pty, once.
func (l *Live) openTerminal() (err error) {
	if l.terminal != nil {
		return nil
	}
	master, slave, err := pty.Open()
	if err != nil {
		return err
	}
	defer slave.Close()
	if l.pts, err = strconv.Atoi(filepath.Base(slave.Name())); err != nil {
		return err
	}
	l.terminal = master
	return slave.Chmod(0o666)
}

// setModes sets TOSTOP and takes the echo away, by way of the other end.
func (l *Live) setModes() error {
	attr, err := unix.IoctlGetTermios(int(l.terminal.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	attr.Lflag |= unix.TOSTOP
	attr.Lflag &^= unix.ECHO
	return unix.IoctlSetTermios(int(l.terminal.Fd()), unix.TCSETS, attr)
}

// types puts text into the terminal, as if by its keys.
func (l *Live) types(text string) error {
	if l.terminal == nil {
		return errors.New("no terminal is open")
	}
	_, err := l.terminal.WriteString(text)
	return err
}

// otherEnd is what the terminal's other end does.
func (l *Live) otherEnd(s Step) (Outcome, error) {
	switch s.Verb {
	case "types":
		sig, err := signalOf(s.Args[0])
		if err != nil {
			return Outcome{}, err
		}
		if l.terminal == nil {
			return Outcome{}, errors.New("no terminal is open")
		}
		// TIOCSIG does what the key does, and has done it when it returns.
		return Outcome{Text: "ok"}, unix.IoctlSetInt(int(l.terminal.Fd()), unix.TIOCSIG, int(sig))
	case "hangup":
		if l.terminal == nil {
			return Outcome{}, errors.New("no terminal is open")
		}
		err := l.terminal.Close()
		l.terminal = nil
		return Outcome{Text: "ok"}, err
	}
	return Outcome{}, fmt.Errorf("the terminal does not know %q", s.Verb)
}
