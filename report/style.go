// Package report prints what the model holds: trees as text, JSON, DOT and SVG,
// and the life of processes as a page. It takes values and writes; it reads no
// host and changes no table.
package report

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Style says how text may look.
type Style struct {
	Width int  // columns; lines are cut to it. 0: no limit
	Color bool // escape sequences for colours are welcome
	ASCII bool // nothing but ASCII
}

// Tone is a colour by what it means; the value is an SGR parameter.
type Tone string

// The tones.
const (
	Plain  Tone = ""
	Bad    Tone = "31" // red: zombies, findings
	Notice Tone = "33" // yellow: what is unusual
	Good   Tone = "32" // green: at work
	Faint  Tone = "2"  // what frames the rest
	Strong Tone = "1"
)

// Paint returns s in a tone, or s itself where colour is not welcome.
func (y Style) Paint(tone Tone, s string) string {
	if !y.Color || tone == Plain || s == "" {
		return s
	}
	return "\x1b[" + string(tone) + "m" + s + "\x1b[0m"
}

// Cut returns s in at most n columns, with a sign that something is missing.
func (y Style) Cut(s string, n int) string {
	sign := "…"
	if y.ASCII {
		sign = "..."
	}
	if Columns(s) <= n {
		return s
	}
	if n <= Columns(sign) {
		return strings.Repeat(".", max(0, n))
	}
	return columns.Truncate(s, n, sign)
}

// Clean returns s without what would move a cursor or hide text: characters that
// don't print are written as Go escapes.
func (y Style) Clean(s string) string {
	clean := func(r rune) bool {
		return unicode.IsPrint(r) && r != utf8.RuneError && (r < utf8.RuneSelf || !y.ASCII)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case clean(r):
			b.WriteString(s[i : i+n])
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
		default:
			q := strconv.QuoteToASCII(s[i : i+n])
			b.WriteString(q[1 : len(q)-1])
		}
		i += n
	}
	return b.String()
}

// columns measures text independently of the environment.
var columns = &runewidth.Condition{}

// Columns returns how many columns of a terminal s takes.
func Columns(s string) int { return columns.StringWidth(s) }
