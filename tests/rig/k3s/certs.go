package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

const (
	certLife  = 365 * 24 * time.Hour // as with k3s, which renews at a start less than 120 days before the end
	renewLeft = 120 * 24 * time.Hour
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// want is what a certificate must say: whose it is, and for a server under which names it answers.
type want struct {
	user, group string
	names       []string
	addresses   []net.IP
}

// loadAuthority reads an authority from BASE.crt and BASE.key, and makes it at the first start.
func loadAuthority(base string) (authority, error) {
	key, err := loadKey(base + ".key")
	if err != nil {
		return authority{}, err
	}
	if _, err := os.Stat(base + ".crt"); err == nil {
		certs, err := certutil.CertsFromFile(base + ".crt")
		if err != nil {
			return authority{}, err
		}
		return authority{certs[0], key}, nil
	}
	name := fmt.Sprintf("binderbox-rig-%s@%d", filepath.Base(base), time.Now().Unix())
	cert, err := certutil.NewSelfSignedCACert(certutil.Config{CommonName: name}, key)
	if err != nil {
		return authority{}, err
	}
	return authority{cert, key}, writeCerts(base+".crt", cert)
}

// issue makes BASE.crt and BASE.key, unless a certificate is there that still says all that is wanted.
func (ca authority) issue(base string, w want) error {
	key, err := loadKey(base + ".key")
	if err != nil {
		return err
	}
	if certs, err := certutil.CertsFromFile(base + ".crt"); err == nil && ca.stillGood(certs[0], key, w) {
		return nil
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: w.user},
		NotBefore:    ca.cert.NotBefore,
		NotAfter:     time.Now().Add(certLife),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		DNSNames:     w.names,
		IPAddresses:  w.addresses,
	}
	if w.group != "" {
		template.Subject.Organization = []string{w.group}
	}
	if len(w.addresses) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	signed, err := x509.CreateCertificate(rand.Reader, &template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(signed)
	if err != nil {
		return err
	}
	return writeCerts(base+".crt", cert, ca.cert)
}

func (ca authority) stillGood(cert *x509.Certificate, key crypto.Signer, w want) bool {
	for _, address := range w.addresses {
		if !slices.ContainsFunc(cert.IPAddresses, address.Equal) {
			return false
		}
	}
	for _, name := range w.names {
		if !slices.Contains(cert.DNSNames, name) {
			return false
		}
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	return err == nil && bytes.Equal(public, cert.RawSubjectPublicKeyInfo) &&
		cert.CheckSignatureFrom(ca.cert) == nil &&
		cert.Subject.CommonName == w.user && time.Until(cert.NotAfter) > renewLeft
}

func loadKey(file string) (crypto.Signer, error) {
	text, _, err := keyutil.LoadOrGenerateKeyFile(file)
	if err != nil {
		return nil, err
	}
	key, err := keyutil.ParsePrivateKeyPEM(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: this key cannot sign", file)
	}
	return signer, nil
}

func writeCerts(file string, certs ...*x509.Certificate) error {
	text, err := certutil.EncodeCertificates(certs...)
	if err != nil {
		return err
	}
	return certutil.WriteCert(file, text)
}
