"""Measurements of fastsr beside what users could pick instead; they write README's tables and pictures."""
