"""The notifiers that ship with Plumbline; each registers as a plugin of anybody else would."""
