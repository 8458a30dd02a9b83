"""Routing: which product does an image show, and is it a known one?"""
