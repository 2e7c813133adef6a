"""What every page of the portal is sent with: it loads from this origin alone, and nobody frames it."""

from __future__ import annotations

HTML = "text/html; charset=utf-8"


def page_headers(*, forms: bool = False, images: bool = False, store: str = "") -> dict[str, str]:
    """The headers of a page (W3C, "Content Security Policy Level 3"): files of this origin alone, no inline script or
    style, no frame around it. `forms`: it may post to this origin; else a form goes nowhere without a script. `images`:
    it has some, of this origin or in its style sheets. `store`: an origin to which a form of it may post besides."""
    target = "'self'" if forms else "'none'"
    target += f" {store}" if store else ""
    pictures = "img-src 'self' data:; " if images else ""
    return {
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        f"{pictures}base-uri 'none'; form-action {target}; frame-ancestors 'none'",
        # Never to others; on this origin a form's Origin header depends on it.
        "referrer-policy": "same-origin" if forms else "no-referrer",
        "x-content-type-options": "nosniff",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
    }
