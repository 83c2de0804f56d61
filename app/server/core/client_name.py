"""What a program calls itself, as its header User-Agent tells: short enough for a list."""

from backends.bounds import as_name

MAX_READ, MAX_NAME = 400, 60  # characters
UNNAMED = "unnamed"
BROWSERS = {"Firefox": "Firefox", "Edg": "Edge", "OPR": "Opera", "Chrome": "Chrome", "Safari": "Safari"}  # first fits
# what every browser claims to be, and programs built on one
CLAIMED = {"Mozilla", "AppleWebKit", "Gecko", "Version", "Mobile", "Electron", "Ubuntu", "HeadlessChrome", *BROWSERS}


def client_name(user_agent: str) -> str:
    """“OpenAI/Python 1.9”, “curl/8.5.0”, “obsidian/1.5”; a browser's is its own name."""
    text = user_agent[:MAX_READ]
    if not text.startswith("Mozilla/"):
        return as_name(text.partition(" (")[0].strip(), MAX_NAME) or UNNAMED
    products = [word for word in text.split() if "/" in word and word[0].isalpha()]
    own = [product for product in products if product.partition("/")[0] not in CLAIMED]
    if own:
        return as_name(own[0], MAX_NAME)
    names = {product.partition("/")[0] for product in products}
    return next((name for word, name in BROWSERS.items() if word in names), "Browser")
