package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"axprocess"
)

// This file is about the commands: Go functions that run as processes.

var commands map[string]func(*task, []string) int

func init() {
	commands = map[string]func(*task, []string) int{
		"true":  func(*task, []string) int { return 0 },
		"false": func(*task, []string) int { return 1 },
		"echo":  echo,
		"cat":   cat,
		"head":  head,
		"yes":   yes,
		"sleep": sleep,
		"seq":   seq,
		"ps":    ps,
	}
}

// mainOf is what a command's process runs. A builtin in a pipeline runs in a
// subshell of its own.
func (sh *shell) mainOf(c command) func(*task) int {
	if c.subshell != nil || builtins[c.words[0]] != nil && commands[c.words[0]] == nil {
		l := c.subshell
		if l == nil {
			l = list{{pipeline: pipeline{c}}}
		}
		sub := &shell{sub: true, status: sh.status, background: sh.background}
		return func(t *task) int {
			sub.task = t
			sub.runList(l)
			return sub.status
		}
	}
	words := sh.expand(c.words)
	return func(t *task) int {
		if command := commands[words[0]]; command != nil {
			return command(t, words)
		}
		_, _ = t.Write([]byte(fmt.Sprintf("%s: %s: command not found\n", sh.name, words[0])))
		return 127
	}
}

// commandName is what ps shows: of a subshell, the shell's.
func (sh *shell) commandName(c command) string {
	if c.subshell != nil {
		return sh.name
	}
	return c.words[0]
}

// end is the exit code of a command whose call failed.
func end(err error) int {
	if err == nil {
		return 0
	}
	return 1
}

func echo(t *task, words []string) int {
	_, err := t.Write([]byte(strings.Join(words[1:], " ") + "\n"))
	return end(err)
}

func cat(t *task, _ []string) int {
	return copyLines(t, func(int) bool { return true })
}

func head(t *task, words []string) int {
	most := 10
	if len(words) == 3 && words[1] == "-n" {
		most, _ = strconv.Atoi(words[2])
	}
	return copyLines(t, func(n int) bool { return n < most })
}

// copyLines copies standard input to standard output while more, given the number
// of lines copied, says so.
func copyLines(t *task, more func(int) bool) int {
	buf := make([]byte, 4096)
	for copied := 0; more(copied); {
		n, err := t.Read(buf)
		if errors.Is(err, errBackground) {
			_, _ = t.Write([]byte("-: Input/output error\n"))
		}
		if err != nil || n == 0 {
			return end(err)
		}
		for line := range strings.Lines(string(buf[:n])) {
			if !more(copied) {
				break
			}
			if _, err := t.Write([]byte(line)); err != nil {
				return end(err)
			}
			copied++
		}
	}
	return 0
}

func yes(t *task, _ []string) int {
	for {
		if _, err := t.Write([]byte(strings.Repeat("y\n", 512))); err != nil {
			return end(err)
		}
	}
}

func sleep(t *task, words []string) int {
	if len(words) != 2 {
		return 1
	}
	seconds, err := strconv.ParseFloat(words[1], 64)
	if err != nil {
		return 1
	}
	return end(t.Sleep(time.Duration(seconds * float64(time.Second))))
}

func seq(t *task, words []string) int {
	last, _ := strconv.Atoi(words[len(words)-1])
	for i := 1; i <= last; i++ {
		if _, err := fmt.Fprintln(t, i); err != nil {
			return end(err)
		}
	}
	return 0
}

// ps lists the processes on its terminal.
func ps(t *task, _ []string) int {
	term := t.process.Terminal()
	foreground := term.Foreground()
	all := t.world.table.Processes()
	all = slices.DeleteFunc(all, func(p *axprocess.Process) bool { return p.Terminal() != term })
	for _, p := range all {
		other, _ := axprocess.DataOf[*task](p)
		if _, err := fmt.Fprintf(t, "%7d %7d %7d %7d %-4s %s\n", p.PID(), p.Group().PGID(), p.Session().SID(), foreground,
			stat(t, p, foreground), other.name); err != nil {
			return end(err)
		}
	}
	return 0
}

// stat is a process's state as ps(1) shows it.
func stat(t *task, p *axprocess.Process, foreground axprocess.PID) string {
	s := "S"
	switch {
	case p.IsZombie():
		s = "Z"
	case p.Stopped() != 0:
		s = "T"
	case p == t.process:
		s = "R"
	}
	if p.Session().SID() == p.PID() {
		s += "s"
	}
	if p.Group().PGID() == foreground {
		s += "+"
	}
	return s
}
