"""Kills of every process of the product while sessions work: is anything lost, done twice, or left stuck?"""
