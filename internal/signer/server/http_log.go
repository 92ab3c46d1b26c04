package server

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
)

func (i *Issuer) serveCheckpoint(w http.ResponseWriter, _ *http.Request) error {
	write(w, http.StatusOK, "text/plain; charset=utf-8", i.config.Log.Checkpoint())
	return nil
}

func (i *Issuer) serveEntries(w http.ResponseWriter, r *http.Request) error {
	var from uint64
	if text := r.URL.Query().Get("from"); text != "" {
		var err error
		if from, err = strconv.ParseUint(text, 10, 63); err != nil {
			return refuse(signer.CodeBadRequest, "from is not an index")
		}
	}
	records, size, err := i.config.Log.Page(from, pageRecords, pageBytes)
	if err != nil {
		return refuse(signer.CodeLog, "the issuance log does not read")
	}
	page := signer.Entries{Entries: make([]signer.Entry, 0, len(records)), Next: min(from, size), Size: size}
	for _, record := range records {
		page.Entries = append(page.Entries, record.Entry())
		page.Next = record.Index + 1
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

func (i *Issuer) serveLicense(w http.ResponseWriter, r *http.Request) error {
	record, found, err := i.config.Log.License(r.URL.Query().Get("id"))
	if err != nil {
		return refuse(signer.CodeLog, "the issuance log does not read")
	}
	if !found {
		return refuse(signer.CodeLicenseUnknown, "no such license is in the log")
	}
	writeJSON(w, http.StatusOK, record.Entry())
	return nil
}

func (i *Issuer) serveInclusion(w http.ResponseWriter, r *http.Request) error {
	index, size, err := twoNumbers(r, "index", "size")
	if err != nil {
		return err
	}
	hashes, err := i.config.Log.ProveInclusion(index, size)
	if err != nil {
		return refuseProof(err)
	}
	writeJSON(w, http.StatusOK, signer.InclusionProof{Index: index, Size: size, Hashes: hashes})
	return nil
}

func (i *Issuer) serveConsistency(w http.ResponseWriter, r *http.Request) error {
	from, to, err := twoNumbers(r, "from", "to")
	if err != nil {
		return err
	}
	hashes, err := i.config.Log.ProveConsistency(from, to)
	if err != nil {
		return refuseProof(err)
	}
	writeJSON(w, http.StatusOK, signer.ConsistencyProof{From: from, To: to, Hashes: hashes})
	return nil
}

func refuseProof(err error) error {
	if errors.Is(err, log.ErrNoTree) {
		return refuse(signer.CodeBadRequest, "the log has no such record or tree; take sizes from a checkpoint")
	}
	return refuse(signer.CodeLog, "the issuance log does not read")
}

// twoNumbers reads a query of exactly these two numbers, each once and as strconv would write it.
func twoNumbers(r *http.Request, first, second string) (a, b uint64, err error) {
	wrong := refuse(signer.CodeBadRequest, "the query is not "+first+"=NUMBER&"+second+"=NUMBER")
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query) != 2 {
		return 0, 0, wrong
	}
	numbers := [2]uint64{}
	for n, name := range []string{first, second} {
		values := query[name]
		if len(values) != 1 {
			return 0, 0, wrong
		}
		// 63 bits: the tree counts in int64.
		if numbers[n], err = strconv.ParseUint(values[0], 10, 63); err != nil || strconv.FormatUint(numbers[n], 10) != values[0] {
			return 0, 0, wrong
		}
	}
	return numbers[0], numbers[1], nil
}
