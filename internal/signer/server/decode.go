package server

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/strictjson"
)

// members are what a request to issue may hold.
var members = []string{"event", "approval", "base_envelope"}

var errRequest = errors.New("not a request of this verb")

// decodeEvent reads a request to check: {"body_base64", "signature_header"}.
func decodeEvent(data []byte) (signer.Event, error) {
	fields, err := plainFields(data)
	if err != nil {
		return signer.Event{}, err
	}
	event, err := takeEvent(fields, "")
	if err != nil || event == nil || len(fields) != 0 {
		return signer.Event{}, errRequest
	}
	return *event, nil
}

// decodeIssue reads a request to issue: {"event": {"body_base64", "signature_header"}, "approval", "base_envelope"}.
func decodeIssue(data []byte) (signer.IssueRequest, error) {
	var r signer.IssueRequest
	fields, err := plainFields(data)
	if err != nil {
		return r, err
	}
	if _, ok := fields["approval"]; ok {
		if r.Approval, err = decodeApproval(data); err != nil {
			return r, err
		}
		delete(fields, "approval")
	}
	if r.Event, err = takeEvent(fields, "event\x00"); err != nil {
		return r, err
	}
	if raw, ok := fields["base_envelope"]; ok {
		if r.BaseEnvelope, ok = strictjson.Unquote(raw); !ok {
			return r, errRequest
		}
		delete(fields, "base_envelope")
	}
	if len(fields) != 0 {
		return r, errRequest
	}
	return r, nil
}

// decodeRevoke reads a request to revoke: {"event": {"body_base64", "signature_header"}, "approval"}.
func decodeRevoke(data []byte) (signer.RevokeRequest, error) {
	r, err := decodeIssue(data)
	if err != nil || r.BaseEnvelope != "" {
		return signer.RevokeRequest{}, errRequest
	}
	return signer.RevokeRequest{Event: r.Event, Approval: r.Approval}, nil
}

// decodeApproval reads the approval out of a request; the other members are read elsewhere. A request with one is rare, so
// that it may be read twice.
func decodeApproval(data []byte) (*approval.Signed, error) {
	var request struct {
		Event        json.RawMessage  `json:"event"`
		Approval     *approval.Signed `json:"approval"`
		BaseEnvelope json.RawMessage  `json:"base_envelope"`
	}
	if err := strictjson.Decode(data, &request); err != nil || request.Approval == nil {
		return nil, errRequest
	}
	return request.Approval, nil
}

// plainFields lists the request's plain values by path, its elements joined by NUL. A null member is as good as absent,
// and whatever an approval holds is listed as one value.
func plainFields(data []byte) (map[string][]byte, error) {
	fields := make(map[string][]byte, 4)
	var path strings.Builder
	err := strictjson.Walk(data, func(elements [][]byte, raw []byte) error {
		path.Reset()
		switch {
		case len(elements) == 0 && string(raw) != "{}" || len(fields) > 8:
			return errRequest
		case len(elements) == 1 && string(raw) == "null" && slices.Contains(members, string(elements[0])):
			return nil
		case len(elements) > 0 && string(elements[0]) == "approval":
			fields["approval"] = raw
			return nil
		}
		for n, element := range elements {
			if element == nil || strings.IndexByte(string(element), 0) >= 0 {
				return errRequest // no verb takes an array, and no name of ours holds a NUL
			}
			if n > 0 {
				path.WriteByte(0)
			}
			path.Write(element)
		}
		if len(elements) > 0 {
			fields[path.String()] = raw
		}
		return nil
	})
	if err != nil {
		return nil, errRequest
	}
	return fields, nil
}

// takeEvent removes an event's two fields from the list; both or neither must be there.
func takeEvent(fields map[string][]byte, prefix string) (*signer.Event, error) {
	rawBody, hasBody := fields[prefix+"body_base64"]
	rawHeader, hasHeader := fields[prefix+"signature_header"]
	if !hasBody && !hasHeader {
		return nil, nil
	}
	text, okBody := strictjson.Unquote(rawBody)
	header, okHeader := strictjson.Unquote(rawHeader)
	body, err := base64.StdEncoding.Strict().DecodeString(text)
	if !okBody || !okHeader || err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errRequest
	}
	delete(fields, prefix+"body_base64")
	delete(fields, prefix+"signature_header")
	return &signer.Event{Body: body, SignatureHeader: header}, nil
}
