// Package report prints what the model holds: trees as text, JSON, DOT and SVG,
// and the life of processes as a page. It takes values and writes; it reads no
// host and changes no table.
package report

// Style says how text may look.
type Style struct {
	Width int  // columns; lines are cut to it. 0: no limit
	Color bool // escape sequences for colours are welcome
}

// The colours that printers use, by what they mean.
const (
	plain  = ""
	bad    = "31" // red: zombies, findings
	notice = "33" // yellow: what is unusual
	good   = "32" // green
	faint  = "2"  // what frames the rest
	strong = "1"
)

// Paint returns s in a colour (an SGR parameter such as "31"), or s itself where
// colour is not welcome.
func (y Style) Paint(sgr, s string) string {
	if !y.Color || sgr == "" || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}
