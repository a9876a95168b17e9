package main

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"axprocess/report"
)

// This file is about where a verb prints, and how it may: the one place that
// knows about terminals.

// output is a verb's standard output with what it allows. Writes to it are
// buffered; flush before waiting for something.
type output struct {
	io.Writer
	report.Style      // colour and width, as report's printers take them
	Terminal     bool // a person reads it as it comes
}

// pipeWidth is the width of what is no terminal.
const pipeWidth = 80

// newOutput describes stdout, and writes to it through w. Colour: only on a
// terminal, unless NO_COLOR is set to anything (no-color.org) or TERM is dumb.
func newOutput(stdout io.Writer, w io.Writer) output {
	o := output{Writer: w, Style: report.Style{Width: pipeWidth, ASCII: !localeIsUTF8()}}
	f, ok := stdout.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return o
	}
	o.Terminal = true
	o.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		o.Width = width
	}
	return o
}

// localeIsUTF8 says whether more than ASCII can be shown: a pager in another
// locale makes a mess of it (POSIX XBD 8.2: the first that is set decides).
func localeIsUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(os.Getenv(name)); v != "" {
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return false
}

// flush writes out what is buffered.
func (o output) flush() error {
	if b, ok := o.Writer.(interface{ Flush() error }); ok {
		return b.Flush()
	}
	return nil
}
