package report

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// This file draws a tree as an SVG picture: a row a branch, indented, with lines
// from parent to child, and a box around each session.

// Measures of the picture, in pixels. Text is monospace: a column is colPX wide.
const (
	rowPX     = 20
	colPX     = 7.3
	indentPX  = 18
	marginPX  = 14
	maxLabel  = 100 // columns; the whole is in the row's tooltip
	sessionPX = 10  // between sessions
)

const svgStyle = `<style>
svg{background:#fff;font:12px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;--fg:#1a1a1a;--faint:#777;--line:#bbb;--box:#f4f6f8;--bad:#c02020;--notice:#9a6200;--good:#187a30}
@media(prefers-color-scheme:dark){svg{background:#16181b;--fg:#e4e4e4;--faint:#999;--line:#555;--box:#1f2328;--bad:#ff7b72;--notice:#e3b341;--good:#56d364}}
text{fill:var(--fg);white-space:pre}path{stroke:var(--line);fill:none}rect{fill:var(--box)}
.faint{fill:var(--faint)}.bad{fill:var(--bad)}.notice{fill:var(--notice)}.good{fill:var(--good)}.strong{font-weight:bold}
</style>
`

var svgClasses = map[Tone]string{Faint: "faint", Bad: "bad", Notice: "notice", Good: "good", Strong: "strong"}

// svgPrinter places branches one below the other.
type svgPrinter struct {
	rows  strings.Builder
	boxes strings.Builder
	y     int
	width float64
}

// SVG draws the tree as one picture that needs nothing else.
func (t *Tree) SVG(w io.Writer, v View) error {
	p := &svgPrinter{y: marginPX}
	for _, b := range t.branches(v, Style{}) {
		top := p.y
		p.branch(b, marginPX)
		if b.kind == kindSession {
			fmt.Fprintf(&p.boxes, `<rect x="4" y="%d" width="100%%" height="%d" rx="5"/>`+"\n", top-2, p.y-top+4)
			p.y += sessionPX
		}
	}
	for _, line := range t.summary() {
		p.text(marginPX, fmt.Sprintf(`<tspan class="faint">%s</tspan>`, escapeXML(line)), Columns(line))
		p.y += rowPX
	}
	out := bufio.NewWriter(w)
	width, height := int(p.width)+marginPX, p.y+marginPX
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">`+"\n", width, height, width, height)
	fmt.Fprintf(out, "<title>processes of %s</title>\n", escapeXML(Style{}.Clean(t.Host)))
	_, _ = out.WriteString(svgStyle + p.boxes.String() + p.rows.String() + "</svg>\n")
	return out.Flush()
}

// branch draws a row, and below it what hangs from it, with lines to each.
func (p *svgPrinter) branch(b *branch, x int) {
	var plain Style
	var text strings.Builder
	columns := 0
	span := func(tone Tone, s string) {
		columns += Columns(s)
		if class := svgClasses[tone]; class != "" {
			fmt.Fprintf(&text, `<tspan class="%s">%s</tspan>`, class, escapeXML(s))
		} else {
			text.WriteString(escapeXML(s))
		}
	}
	if b.number != "" {
		span(Faint, b.number+" ")
	}
	label := plain.Cut(b.label, maxLabel)
	span(b.tone, label)
	for i, n := range b.notes {
		span(Faint, [2]string{"  ", ", "}[min(i, 1)])
		span(n.tone, n.text)
	}
	if label != b.label {
		fmt.Fprintf(&text, "<title>%s</title>", escapeXML(b.label))
	}
	p.text(x, text.String(), columns)
	from := p.y
	p.y += rowPX
	last := from
	for _, kid := range b.kids {
		last = p.y
		fmt.Fprintf(&p.rows, `<path d="M%d %dh%d"/>`+"\n", x+5, p.y+rowPX/2, indentPX-8)
		p.branch(kid, x+indentPX)
	}
	if last != from {
		fmt.Fprintf(&p.rows, `<path d="M%d %dV%d"/>`+"\n", x+5, from+rowPX-2, last+rowPX/2)
	}
}

// text puts a text of so many columns on the current row.
func (p *svgPrinter) text(x int, text string, columns int) {
	p.width = max(p.width, float64(x)+float64(columns)*colPX)
	fmt.Fprintf(&p.rows, `<text x="%d" y="%d">%s</text>`+"\n", x, p.y+rowPX-6, text)
}

func escapeXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}
