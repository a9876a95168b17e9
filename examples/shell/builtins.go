package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"axprocess"
)

// This file is about what the shell does itself: its jobs are its own business,
// so no child could.

var builtins map[string]func(*shell, []string) int

func init() {
	builtins = map[string]func(*shell, []string) int{
		"jobs": (*shell).listJobs,
		"fg":   (*shell).resumeForeground,
		"bg":   (*shell).resumeBackground,
		"wait": (*shell).waitFor,
		"kill": (*shell).kill,
		"exit": (*shell).exit,
		"echo": func(sh *shell, words []string) int { return echo(sh.task, words) },
		":":    func(*shell, []string) int { return 0 },
	}
}

func (sh *shell) complain(about, text string) int {
	sh.print(fmt.Sprintf("%s: %s: %s\n", sh.name, about, text))
	return 1
}

func (sh *shell) listJobs(words []string) int {
	sh.collect()
	jobs := slices.Clone(sh.jobs.jobs)
	if len(words) > 1 {
		jobs = []*job{sh.jobOf(words)}
	}
	for _, j := range jobs {
		if j == nil {
			continue
		}
		sh.print(sh.jobs.show(j))
		j.told = true
		if j.state() == done {
			defer sh.jobs.remove(j) // the marks of those below are as they were
		}
	}
	return 0
}

// jobOf finds the job that a builtin is about: the first argument, or the current.
func (sh *shell) jobOf(words []string) *job {
	sh.collect()
	spec := "%%"
	if len(words) > 1 {
		spec = words[1]
	}
	j := sh.jobs.find(spec)
	if j == nil {
		if len(words) == 1 {
			spec = "current"
		}
		sh.complain(words[0], spec+": no such job")
	}
	return j
}

// cont continues a job.
func (sh *shell) cont(j *job) {
	_, _ = sh.process.Kill(-j.pgid, axprocess.SIGCONT) // it may have ended meanwhile
	for i := range j.members {
		if j.members[i].state == stopped {
			j.members[i].state = running
		}
	}
}

func (sh *shell) resumeForeground(words []string) int {
	j := sh.jobOf(words)
	if j == nil {
		return 1
	}
	sh.print(j.text + "\n")
	_, _ = sh.process.SetForeground(sh.world.tty.term, j.pgid) // its group may have ended
	sh.cont(j)
	sh.foreground(j)
	return sh.status
}

func (sh *shell) resumeBackground(words []string) int {
	j := sh.jobOf(words)
	if j == nil {
		return 1
	}
	if j.state() != stopped {
		sh.print(fmt.Sprintf("%s: bg: job %d already in background\n", sh.name, j.number))
		return 0
	}
	sh.print(fmt.Sprintf("[%d]%s %s &\n", j.number, sh.jobs.mark(j), j.text))
	sh.cont(j)
	sh.jobs.choose(nil)
	return 0
}

// waitFor waits for all jobs, or for those named by job or process number.
func (sh *shell) waitFor(words []string) int {
	ctx, cancel := sh.interruptible()
	defer cancel()
	waitUntil := func(over func() bool) bool {
		for !over() {
			r, err := sh.process.Wait(ctx, axprocess.WaitAny, axprocess.WEXITED|axprocess.WUNTRACED)
			if err != nil {
				return false
			}
			if j := sh.jobs.note(r, nil); j != nil && j.state() == stopped {
				sh.jobs.choose(j)
			}
		}
		return true
	}
	if len(words) == 1 {
		over := waitUntil(func() bool { return sh.jobs.last(running, nil) == nil })
		return sh.interrupted(over, 0)
	}
	status := 0
	for _, word := range words[1:] {
		j, n := sh.named(word)
		if j == nil {
			status = 127
			if strings.HasPrefix(word, "%") {
				sh.complain("wait", word+": no such job")
			} else {
				sh.complain("wait", fmt.Sprintf("pid %s is not a child of this shell", word))
			}
			continue
		}
		over := waitUntil(func() bool { return j.members[n].state != running })
		if status = sh.interrupted(over, memberStatus(j.members[n])); !over {
			return status
		}
		sh.notify() // as bash does here, before it goes on with the line
	}
	return status
}

func memberStatus(m member) int {
	if m.state == stopped {
		return 128 + int(m.result.Code)
	}
	return exitStatus(m.result)
}

// interrupted is a wait's status, 130 if ctrl-C ended it.
func (sh *shell) interrupted(over bool, status int) int {
	if !over && sh.takeSignals() {
		sh.print("\n")
		return 130
	}
	return status
}

// named finds a job and which of its processes a word means.
func (sh *shell) named(word string) (*job, int) {
	if strings.HasPrefix(word, "%") {
		j := sh.jobs.find(word)
		if j == nil {
			return nil, 0
		}
		return j, len(j.members) - 1
	}
	n, _ := strconv.Atoi(word)
	for _, j := range sh.jobs.jobs {
		if j == nil {
			continue
		}
		if i := slices.IndexFunc(j.members, func(m member) bool { return int(m.pid) == n }); i >= 0 {
			return j, i
		}
	}
	return nil, 0
}

// kill sends a signal, SIGTERM unless it is named, to jobs and processes.
func (sh *shell) kill(words []string) int {
	sig := axprocess.SIGTERM
	args := words[1:]
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		var err error
		if sig, err = axprocess.ParseSignal(args[0][1:]); err != nil {
			return sh.complain("kill", args[0][1:]+": invalid signal specification")
		}
		args = args[1:]
	}
	status := 0
	for _, arg := range args {
		target := axprocess.PID(0)
		if strings.HasPrefix(arg, "%") {
			j := sh.jobs.find(arg)
			if j == nil {
				status = sh.complain("kill", arg+": no such job")
				continue
			}
			target = -j.pgid
			if j.state() == stopped && (sig == axprocess.SIGTERM || sig == axprocess.SIGHUP) {
				defer sh.process.Kill(target, axprocess.SIGCONT) // so that it can act on the signal
			}
		} else if n, err := strconv.ParseInt(arg, 10, 32); err == nil {
			target = axprocess.PID(n)
		} else {
			status = sh.complain("kill", arg+": arguments must be process or job IDs")
			continue
		}
		if _, err := sh.process.Kill(target, sig); err != nil {
			status = sh.complain("kill", fmt.Sprintf("(%d) - %s", target, errno(err)))
		}
	}
	return status
}

func (sh *shell) exit(words []string) int {
	sh.exited = true
	if len(words) > 1 {
		if n, err := strconv.Atoi(words[1]); err == nil {
			return n & 0xff
		}
	}
	return sh.status
}
