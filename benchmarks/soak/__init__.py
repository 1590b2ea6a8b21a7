"""Sixteen sessions for as many steps as two days bring: do memory, descriptors and the log's WAL stay flat?"""
