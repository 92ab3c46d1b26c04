package stripesim

import (
	"math"
	"net/http"
)

// pageParams are the parameters that every list has.
func pageParams() schema {
	return schema{
		"limit":          integer(1, 100),
		"starting_after": text(255),
		"ending_before":  text(255),
	}
}

// listObjects pages through a kind's objects, newest first.
func (x *tx) listObjects(kind, url string, params object, keep func(*record) bool) (object, error) {
	items, more, err := x.page(kind, params, keep)
	if err != nil {
		return nil, err
	}
	shown := make([]object, len(items))
	for i, r := range items {
		shown[i] = r.shown()
	}
	return listObject(shown, more, url), nil
}

// listBy answers the list of a kind, narrowed by parameters that are named as
// the members they must equal.
func listBy(kind, url string, members ...string) func(*tx, *call) (object, error) {
	return func(x *tx, c *call) (object, error) {
		return x.listObjects(kind, url, c.params, func(r *record) bool { return matches(r.Body, c.params, members...) })
	}
}

// page finds the part of a kind's objects that the paging parameters ask for,
// newest first, and whether there is more.
func (x *tx) page(kind string, params object, keep func(*record) bool) ([]*record, bool, error) {
	t := x.st.objects[kind]
	var all []*record
	for i := len(t.ids) - 1; i >= 0; i-- {
		r := t.get(t.ids[i])
		if inRange(r.Body.int("created"), params.sub("created")) && (keep == nil || keep(r)) {
			all = append(all, r)
		}
	}
	limit := int(params.int("limit"))
	if limit == 0 {
		limit = 10
	}
	index := func(param string) (int, error) {
		for i, r := range all {
			if r.Body.str("id") == params.str(param) {
				return i, nil
			}
		}
		return 0, missing(http.StatusBadRequest, kind, params.str(param), param)
	}
	switch {
	case params.has("starting_after"):
		i, err := index("starting_after")
		if err != nil {
			return nil, false, err
		}
		rest := all[i+1:]
		return rest[:min(limit, len(rest))], limit < len(rest), nil
	case params.has("ending_before"):
		i, err := index("ending_before")
		if err != nil {
			return nil, false, err
		}
		return all[max(0, i-limit):i], i > limit, nil
	}
	return all[:min(limit, len(all))], limit < len(all), nil
}

func listObject(items []object, more bool, url string) object {
	data := make([]any, len(items))
	for i, o := range items {
		data[i] = o
	}
	return object{"object": "list", "data": data, "has_more": more, "url": url}
}

// firstTen is a list within an object: it shows ten at most, and has_more.
func firstTen(all []any, url string) object {
	shown := cloneValue(all[:min(10, len(all))]).([]any)
	return object{"object": "list", "data": shown, "has_more": len(all) > 10, "url": url}
}

// pageOf is a page of parts that lie within an object, in their own order.
func pageOf(all []any, params object, url string) object {
	limit := int(params.int("limit"))
	if limit == 0 {
		limit = 10
	}
	start := 0
	for i, part := range all {
		if params.has("starting_after") && part.(object).str("id") == params.str("starting_after") {
			start = i + 1
		}
	}
	rest := all[start:]
	shown := cloneValue(rest[:min(limit, len(rest))]).([]any)
	return object{"object": "list", "data": shown, "has_more": len(rest) > limit, "url": url}
}

func inRange(at int64, r object) bool {
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	if r.has("gte") {
		low = r.int("gte")
	}
	if r.has("gt") {
		low = max(low, r.int("gt")+1)
	}
	if r.has("lte") {
		high = r.int("lte")
	}
	if r.has("lt") {
		high = min(high, r.int("lt")-1)
	}
	return at >= low && at <= high
}
