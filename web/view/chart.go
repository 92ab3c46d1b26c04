package view

import (
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Chart is the validity of a deployment's licenses over time. Positions are percent of the width, heights pixels, so that
// it stretches without a script and its text never scales.
type Chart struct {
	Height int
	Ticks  []Tick
	Bars   []Bar
	Now    float64
	NowBad bool // the label of now would leave the picture on the right
	Today  string
	Text   string // what it shows, in a sentence
}

// Tick is a date along the top.
type Tick struct {
	X     float64
	Label string
	Wide  bool // left out on phones
}

// anchor is which end of the label stands at the date: the last label would leave the picture on the right.
func (t Tick) anchor() string {
	if t.X > 80 {
		return "end"
	}
	return "start"
}

// Bar is one license: solid while it was the one in force, hatched after a newer one replaced it or a
// revocation bundle stopped it, then grace.
type Bar struct {
	Y               int
	Start, Cut, End float64 // Cut is where it was replaced or stopped, else End
	Grace           float64 // 0: none
	Class           string
	Label           string
	LabelX          float64
	Anchor          string
	Title           string
}

const (
	chartRows   = 6
	chartTop    = 30
	chartRow    = 38
	chartBottom = 26
)

// Percent writes a position for an SVG attribute.
func Percent(x float64) string { return fmt.Sprintf("%.2f%%", x) }

// ValidityChart draws the newest licenses of a lineage (newest first), oldest on top.
func ValidityChart(this fulfillment.License, lineage []fulfillment.License, now time.Time) Chart {
	shown := lineage[:min(len(lineage), chartRows)]
	if len(shown) == 0 {
		shown = []fulfillment.License{this}
	}
	from, until := now, now
	for _, l := range shown {
		if l.Payload.NotBefore.Before(from) {
			from = l.Payload.NotBefore
		}
		for _, t := range []time.Time{l.Payload.ExpiresAt, l.Payload.GraceUntil} {
			if t.After(until) {
				until = t
			}
		}
	}
	margin := max(until.Sub(from)/20, time.Hour)
	from, until = from.Add(-margin), until.Add(2*margin)
	at := func(t time.Time) float64 { return 100 * float64(t.Sub(from)) / float64(until.Sub(from)) }

	c := Chart{Height: chartTop + chartRow*len(shown) + chartBottom, Now: at(now), Today: "Today, " + now.Format("2 Jan")}
	c.NowBad = c.Now > 80
	for n := range 5 {
		t := from.Add(until.Sub(from) * time.Duration(n) / 4 * 9 / 10)
		label := t.UTC().Format("2 Jan")
		if until.Sub(from) > 300*24*time.Hour {
			label = t.UTC().Format("Jan 2006")
		} else if until.Sub(from) < 5*24*time.Hour {
			label = t.UTC().Format("2 Jan 15:04")
		}
		c.Ticks = append(c.Ticks, Tick{X: at(t), Label: label, Wide: n%2 == 1})
	}
	for n := range shown {
		l := shown[len(shown)-1-n]
		c.Bars = append(c.Bars, bar(l, this.ID, chartTop+chartRow*n+8, at, now))
	}
	c.Text = fmt.Sprintf("Validity of %s. %s expires on %s.", Count(int64(len(shown)), "license"), this.TemplateName, Stamp(this.Payload.ExpiresAt))
	return c
}

func bar(l fulfillment.License, this string, y int, at func(time.Time) float64, now time.Time) Bar {
	b := Bar{Y: y, Start: at(l.Payload.NotBefore), End: at(l.Payload.ExpiresAt), Class: "b-old", Label: l.TemplateName}
	b.Cut = b.End
	standing := l.Standing(now)
	switch {
	case l.Stopped(now) && l.Withdrawn.EffectiveAt.Before(l.Payload.ExpiresAt):
		b.Cut = max(b.Start, at(l.Withdrawn.EffectiveAt))
	case l.SupersededBy != "" && l.SupersededAt.Before(l.Payload.ExpiresAt):
		b.Cut = max(b.Start, at(l.SupersededAt))
	}
	if standing == fulfillment.StandingValid || standing == fulfillment.StandingNotYetValid {
		b.Class = "b-cur"
	}
	last := b.End
	if !l.Payload.GraceUntil.IsZero() && l.SupersededBy == "" && !l.Stopped(now) {
		b.Grace = at(l.Payload.GraceUntil)
		last = b.Grace
	}
	switch {
	case l.ID == this:
		b.Label = "This license"
	case l.Stopped(now):
		b.Label += ", " + standingWord(standing)
	case standing == fulfillment.StandingExpired:
		b.Label += ", expired"
	case standing == fulfillment.StandingSuperseded:
		b.Label = "superseded, expires " + l.Payload.ExpiresAt.UTC().Format("2 Jan")
	}
	b.Title = l.ID + ": " + Stamp(l.Payload.NotBefore) + " to " + Stamp(l.Payload.ExpiresAt)
	b.LabelX, b.Anchor = last, "start"
	if last > 62 {
		b.LabelX, b.Anchor = b.End, "end"
	}
	return b
}
