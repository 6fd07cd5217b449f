"""Small file systems of a node: mailboxes, and Postfix's queue. One of them can be full while the others are not.

Each is an ext4 image beside the node's other files, which grows with use and outlives a restart and a loss of power.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Disk:
    """A file system of a node: where it is mounted, and its size in MiB."""

    folder: str
    size_mib: int


OF_ROLE = {"mail": (Disk("/var/vmail", 2048), Disk("/var/spool/postfix", 1024))}
"""Disks by the role of a node; all else is in the node's one overlay."""

MOUNT = """
for disk in $DISKS; do
    folder="$ROOT${disk%:*}" image="$IMAGES/$(echo "${disk%:*}" | tr / -).img" tries=0
    mkdir -p "$folder" "$IMAGES"
    if [ ! -e "$image" ]; then
        truncate -s "${disk#*:}M" "$image.new"
        mkfs.ext4 -q -m 0 "$image.new"
        mkdir -p "$IMAGES/new"
        mount -o loop "$image.new" "$IMAGES/new"
        cp -a "$folder/." "$IMAGES/new/"
        umount "$IMAGES/new"
        mv "$image.new" "$image"
    fi
    while [ -n "$(losetup -j "$image")" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || { echo "$image is still in use: see losetup -j $image" >&2; exit 1; }
        sleep 0.1
    done
    mount -o loop "$image" "$folder"
done
"""
"""Shell: mounts DISKS (FOLDER:MiB ...) below ROOT from images in IMAGES. A new one gets what the folder has so far."""


def words(disks: tuple[Disk, ...]) -> str:
    """Return the disks as MOUNT takes them."""
    return " ".join(f"{disk.folder}:{disk.size_mib}" for disk in disks)
