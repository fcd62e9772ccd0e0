"""Measurements of fastsr beside what users could pick instead, and the tables and plots made of them."""
