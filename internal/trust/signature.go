package trust

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"
)

// Namespace keeps a signature over a bundle from standing for anything else its key signs.
const Namespace = "licensing-portal-trust"

// The SSH signature format: https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig
const (
	sshMagic   = "SSHSIG"
	sshVersion = 1
	sshHash    = "sha512"
	sshArmor   = "SSH SIGNATURE"
)

// sshBlob is what the armor holds, after the magic.
type sshBlob struct {
	Version   uint32
	PublicKey []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

// sshSigned is what the key signs, after the magic.
type sshSigned struct {
	Namespace string
	Reserved  string
	Hash      string
	Digest    []byte
}

func signedBytes(message []byte) []byte {
	digest := sha512.Sum512(message)
	return append([]byte(sshMagic), ssh.Marshal(sshSigned{Namespace: Namespace, Hash: sshHash, Digest: digest[:]})...)
}

// Sign makes the detached signature that `ssh-keygen -Y sign -n licensing-portal-trust` makes. Only Ed25519 keys are
// taken.
func Sign(signer ssh.Signer, bundle []byte, random io.Reader) ([]byte, error) {
	if signer.PublicKey().Type() != ssh.KeyAlgoED25519 {
		return nil, errors.New("only Ed25519 keys sign a trust bundle")
	}
	signature, err := signer.Sign(random, signedBytes(bundle))
	if err != nil {
		return nil, fmt.Errorf("sign trust bundle: %w", err)
	}
	blob := append([]byte(sshMagic), ssh.Marshal(sshBlob{
		Version: sshVersion, PublicKey: signer.PublicKey().Marshal(), Namespace: Namespace, Hash: sshHash,
		Signature: ssh.Marshal(signature),
	})...)
	var out bytes.Buffer
	out.WriteString("-----BEGIN " + sshArmor + "-----\n")
	text := base64.StdEncoding.EncodeToString(blob)
	for len(text) > 70 {
		out.WriteString(text[:70] + "\n")
		text = text[70:]
	}
	out.WriteString(text + "\n-----END " + sshArmor + "-----\n")
	return out.Bytes(), nil
}

// verifySignature checks one armored signature over the bundle and returns the key that made it.
func verifySignature(bundle, armored []byte) (ssh.PublicKey, error) {
	if !bytes.HasPrefix(armored, []byte("-----BEGIN "+sshArmor+"-----\n")) {
		return nil, errors.New("not an SSH signature, or something stands before it")
	}
	block, rest := pem.Decode(armored)
	if block == nil || block.Type != sshArmor || len(block.Headers) != 0 {
		return nil, errors.New("broken armor")
	}
	if len(bytes.TrimRight(rest, "\n")) != 0 || bytes.Count(armored, []byte("-----BEGIN")) != 1 {
		return nil, errors.New("something stands after the signature")
	}
	body, ok := bytes.CutPrefix(block.Bytes, []byte(sshMagic))
	if !ok {
		return nil, errors.New("not an SSH signature")
	}
	var blob sshBlob
	if err := ssh.Unmarshal(body, &blob); err != nil {
		return nil, errors.New("broken signature")
	}
	if blob.Version != sshVersion || blob.Namespace != Namespace || blob.Reserved != "" || blob.Hash != sshHash {
		return nil, fmt.Errorf("not a version 1 signature in the namespace %s with %s", Namespace, sshHash)
	}
	key, err := ssh.ParsePublicKey(blob.PublicKey)
	if err != nil || key.Type() != ssh.KeyAlgoED25519 {
		return nil, errors.New("not by an Ed25519 key")
	}
	var signature ssh.Signature
	if err := ssh.Unmarshal(blob.Signature, &signature); err != nil || len(signature.Rest) != 0 || signature.Format != ssh.KeyAlgoED25519 {
		return nil, errors.New("not an Ed25519 signature")
	}
	if err := key.Verify(signedBytes(bundle), &signature); err != nil {
		return nil, errors.New("the signature is not over these bytes")
	}
	return key, nil
}

// ParseRoot reads a root holder's public key as one line of OpenSSH's form: ssh-ed25519 AAAA… [comment].
func ParseRoot(line string) (ssh.PublicKey, error) {
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(options) != 0 || len(bytes.TrimSpace(rest)) != 0 {
		return nil, errors.New("root key is not one line of OpenSSH's public key form")
	}
	if key.Type() != ssh.KeyAlgoED25519 {
		return nil, errors.New("root key is not an Ed25519 key")
	}
	return key, nil
}

// Verify checks detached signatures over a bundle's exact bytes and returns the distinct root keys that signed, in the
// roots' order. Fewer than threshold is an error; so is a threshold below one or above the number of roots. Signatures
// that do not verify or are by other keys count for nothing: they are told in the error when the rest is too few.
func Verify(bundle []byte, signatures [][]byte, roots []ssh.PublicKey, threshold int) ([]ssh.PublicKey, error) {
	distinct := map[string]ssh.PublicKey{}
	for _, root := range roots {
		distinct[string(root.Marshal())] = root
	}
	if threshold < 1 || threshold > len(distinct) {
		return nil, fmt.Errorf("root threshold %d does not fit %d distinct root keys", threshold, len(distinct))
	}
	var problems []error
	signed := map[string]bool{}
	for i, armored := range signatures {
		key, err := verifySignature(bundle, armored)
		if err == nil && distinct[string(key.Marshal())] == nil {
			err = errors.New("by a key that is not a root key")
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("signature %d: %w", i+1, err))
			continue
		}
		signed[string(key.Marshal())] = true
	}
	if len(signed) < threshold {
		problems = append(problems, fmt.Errorf("signed by %d of the %d root keys that are needed", len(signed), threshold))
		return nil, errors.Join(problems...)
	}
	var by []ssh.PublicKey
	for _, root := range roots {
		if id := string(root.Marshal()); signed[id] {
			by = append(by, root)
			delete(signed, id)
		}
	}
	return by, nil
}
