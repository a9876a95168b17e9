package bench

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file is about the table of axp run: what it costs a command to be followed,
// beside what else one may run it under. It drives real processes, whose programs
// are made in a folder of its own (programs/).
//
// Each turn of a competitor is one whole run of the command under it, so what it
// needs to start and to end is counted. Turns are short, so that what else the
// machine does falls on all alike, and of each competitor the least count.

//go:embed programs
var programs embed.FS

// A Wrapper is something to run a command under.
type Wrapper struct {
	Name string
	Args []string // before the command; the first is the program, which may be missing
}

// RunPlan says how much is measured for the table of axp run.
type RunPlan struct {
	Forks  int // of /bin/true, one after the other, in forkRuns runs
	Files  int // of the C project that is built
	Starts int // of `true`
	Within time.Duration
}

// forkRuns is in how many runs the forks are done, and buildTurns how many turns of
// the build there are at least.
const (
	forkRuns   = 5
	buildTurns = 3
)

// runMeasured is what was measured of one wrapper.
type runMeasured struct {
	start, build, forks []turnTook
	failed              error
}

// wrappers are the competitors; the first is none.
func wrappers(dir string) []Wrapper {
	axp := func(follow string) Wrapper {
		return Wrapper{"axp run --follow=" + follow, []string{filepath.Join(dir, "axp"), "run", "--follow=" + follow, "--"}}
	}
	return []Wrapper{
		{"bare", nil},
		{"tini -s", []string{"tini", "-s", "--"}},
		axp("ptrace"), axp("ebpf"), axp("proc"), axp("auto"),
		{"a tracer that does nothing", []string{filepath.Join(dir, "nothing")}},
		{"strace -f -e trace=process", []string{"strace", "-f", "-o", os.DevNull, "-e", "trace=process"}},
		{"strace -f --seccomp-bpf -e trace=process", []string{"strace", "-f", "--seccomp-bpf", "-o", os.DevNull, "-e", "trace=process"}},
	}
}

// RunTable measures commands under axp run and its competitors, about as long as
// the plan says: each has one turn at least.
func RunTable(plan RunPlan) (string, error) {
	dir, err := os.MkdirTemp("", "axp-run")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir, plan.Files); err != nil {
		return "", err
	}
	all := wrappers(dir)
	measured := make([]runMeasured, len(all))
	turns := func(within time.Duration, least int, of func(*runMeasured) *[]turnTook, command ...string) {
		end := time.Now().Add(within)
		for n := 0; n < least || time.Now().Before(end); n++ {
			for i := range all {
				if m := &measured[i]; m.failed == nil {
					var took turnTook
					took, m.failed = takeTurn(dir, all[i], command)
					*of(m) = append(*of(m), took)
				}
			}
		}
	}
	began := time.Now()
	turns(0, plan.Starts, func(m *runMeasured) *[]turnTook { return &m.start }, "true")
	turns((plan.Within-time.Since(began))/3, buildTurns, func(m *runMeasured) *[]turnTook { return &m.build },
		"make", "-s", "-B", "-j2", "-C", filepath.Join(dir, "project"))
	turns(plan.Within-time.Since(began), forkRuns, func(m *runMeasured) *[]turnTook { return &m.forks },
		filepath.Join(dir, "forks"), strconv.Itoa(plan.Forks/forkRuns))
	if measured[0].failed != nil {
		return "", measured[0].failed
	}
	return writeRuns(plan, all, measured), nil
}

// turnTook is what one turn took.
type turnTook struct {
	wall, cpu time.Duration // cpu of all processes together
	peak      int64         // KB
}

// least adds up the n least of what was measured, in seconds.
func least(n int, turns []turnTook, what func(turnTook) time.Duration) float64 {
	var all []time.Duration
	for _, turn := range turns {
		all = append(all, what(turn))
	}
	slices.Sort(all)
	var sum time.Duration
	for _, d := range all[:min(n, len(all))] {
		sum += d
	}
	return sum.Seconds()
}

func wall(t turnTook) time.Duration { return t.wall }
func cpu(t turnTook) time.Duration  { return t.cpu }

// peak is the most memory of all turns, in MB.
func peak(turns []turnTook) (mb float64) {
	for _, t := range turns {
		mb = max(mb, float64(t.peak)/1024)
	}
	return mb
}

// takeTurn runs a command under a wrapper, by way of programs/turn.c.
func takeTurn(dir string, w Wrapper, command []string) (took turnTook, err error) {
	args := append(append([]string(nil), w.Args...), command...)
	program, err := exec.LookPath(args[0])
	if err != nil {
		return took, err
	}
	r, out, err := os.Pipe()
	if err != nil {
		return took, err
	}
	defer r.Close()
	var stderr bytes.Buffer
	c := exec.Command(filepath.Join(dir, "turn"), append([]string{program}, args[1:]...)...)
	c.ExtraFiles, c.Stderr = []*os.File{out}, &stderr
	err = c.Run()
	_ = out.Close()
	if err != nil {
		return took, fmt.Errorf("%s: %w", w.Name, err)
	}
	var wall, cpu int64
	var code int
	if _, err := fmt.Fscan(r, &wall, &cpu, &took.peak, &code); err != nil {
		return took, fmt.Errorf("%s: %w", w.Name, err)
	}
	if code != 0 {
		line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return took, fmt.Errorf("exit code %d: %s", code, line)
	}
	took.wall, took.cpu = time.Duration(wall), time.Duration(cpu)*time.Microsecond
	return took, nil
}

// prepare makes the programs, axp, and the project to build.
func prepare(dir string, files int) error {
	for _, name := range []string{"forks", "turn", "nothing"} {
		if err := compile(dir, name); err != nil {
			return err
		}
	}
	if err := buildAxp(filepath.Join(dir, "axp")); err != nil {
		return err
	}
	return project(filepath.Join(dir, "project"), files)
}

// compile makes one of the programs.
func compile(dir, name string) error {
	text, err := programs.ReadFile("programs/" + name + ".c")
	if err != nil {
		return err
	}
	source := filepath.Join(dir, name+".c")
	if err := os.WriteFile(source, text, 0o644); err != nil {
		return err
	}
	return tool("gcc", "-O2", "-o", filepath.Join(dir, name), source)
}

func buildAxp(to string) error {
	return tool("go", "build", "-buildvcs=false", "-o", to, "axprocess/cmd/axp")
}

func tool(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// project writes a C program of so many files and its Makefile.
func project(dir string, files int) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	var objects, entry strings.Builder
	for i := range files {
		var b strings.Builder
		b.WriteString("#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n")
		for f := range 40 {
			fmt.Fprintf(&b, "static double f%d(double x, int n)\n{\n\tchar text[64];\n\tfor (int i = 0; i < n; i++) {\n"+
				"\t\tx = fmod(x * %d + i, 1000) + (i %% 3 ? x : -x);\n\t\tif (snprintf(text, sizeof text, \"%%f\", x) > 8)\n\t\t\tx -= strtod(text + 2, 0);\n\t}\n\treturn x;\n}\n", f, f+2)
		}
		fmt.Fprintf(&b, "double file%d(double x)\n{\n", i)
		for f := range 40 {
			fmt.Fprintf(&b, "\tx += f%d(x, %d);\n", f, f)
		}
		b.WriteString("\treturn x;\n}\n")
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%d.c", i)), []byte(b.String()), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&objects, " file%d.o", i)
		fmt.Fprintf(&entry, "double file%d(double);\n", i)
	}
	entry.WriteString("int main(void) { return !file0(1); }\n")
	makefile := "CFLAGS = -O1\nprogram: main.o" + objects.String() + "\n\t$(CC) -o $@ $^ -lm\n"
	return errors.Join(os.WriteFile(filepath.Join(dir, "main.c"), []byte(entry.String()), 0o644),
		os.WriteFile(filepath.Join(dir, "Makefile"), []byte(makefile), 0o644))
}

// writeRuns writes the table. A wrapper that could not be measured has the reason
// in its row.
func writeRuns(plan RunPlan, all []Wrapper, measured []runMeasured) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| under | build of %d C files, s | : bare | CPU : bare | %d forks, s | : bare | CPU : bare | start-up over bare, ms | peak memory, MB |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
		plan.Files+1, plan.Forks/forkRuns*forkRuns)
	bare := measured[0]
	for i, m := range measured {
		if m.failed != nil {
			fmt.Fprintf(&b, "| %s | not measured: %v | | | | | | | |\n", all[i].Name, m.failed)
			continue
		}
		build, forks := least(1, m.build, wall), least(forkRuns, m.forks, wall)
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.1f | %.1f |\n", all[i].Name,
			build, build/least(1, bare.build, wall), least(1, m.build, cpu)/least(1, bare.build, cpu),
			forks, forks/least(forkRuns, bare.forks, wall), least(forkRuns, m.forks, cpu)/least(forkRuns, bare.forks, cpu),
			1e3*(least(1, m.start, wall)-least(1, bare.start, wall)), peak(m.forks))
	}
	return b.String()
}
