package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// This file is about the table of axp tree: how long it takes to read a host of many
// processes, live and saved, beside ps. The processes are real ones, asleep, and end
// with what made them (programs/crowd.c).

// treeTurns is how often each competitor reads them all.
const treeTurns = 5

// TreeTable measures axp tree on a host with so many processes more.
func TreeTable(processes int) (table string, err error) {
	dir, err := os.MkdirTemp("", "axp-tree")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := compile(dir, "crowd"); err != nil {
		return "", err
	}
	axp, saved := filepath.Join(dir, "axp"), filepath.Join(dir, "proc")
	if err := buildAxp(axp); err != nil {
		return "", err
	}
	end, err := crowd(filepath.Join(dir, "crowd"), processes)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, end()) }()
	if err := saveProc(saved); err != nil {
		return "", err
	}
	commands := [][]string{{"ps", "-eLf"}, {axp, "tree"}, {axp, "tree", "--proc", saved}}
	least := make([]time.Duration, len(commands))
	for turn := range treeTurns {
		for i, args := range commands {
			start := time.Now()
			if err := tool(args[0], args[1:]...); err != nil {
				return "", err
			}
			if took := time.Since(start); turn == 0 || took < least[i] {
				least[i] = took
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| what, with %d processes asleep | ms | : ps |\n|---|---:|---:|\n", processes)
	for i, name := range []string{"ps -eLf", "axp tree", "axp tree --proc, of the same, saved"} {
		fmt.Fprintf(&b, "| %s | %.0f | %.2f |\n", name, least[i].Seconds()*1e3, least[i].Seconds()/least[0].Seconds())
	}
	return b.String(), nil
}

// crowd starts the processes and waits until they are there; end ends them.
func crowd(program string, processes int) (end func() error, err error) {
	cmd := exec.Command(program, strconv.Itoa(processes))
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end = func() error { return errors.Join(in.Close(), cmd.Wait()) }
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		return nil, errors.Join(fmt.Errorf("%d processes can't be made: %w", processes, err), end())
	}
	return end, nil
}

// saveProc copies what there is of /proc for axp tree. What ends meanwhile is left
// out.
func saveProc(to string) error {
	names, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*/stat")
	if err != nil {
		return err
	}
	for _, pattern := range []string{"/proc/[0-9]*/stat", "/proc/[0-9]*/status", "/proc/[0-9]*/cmdline"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		names = append(names, more...)
	}
	for _, name := range append(names, "/proc/stat", "/proc/uptime") {
		if err := copyFile(filepath.Join(to, strings.TrimPrefix(name, "/proc")), name); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}
