// Where rows and columns stand on the extended map of Slide Attention. Needs RADIUS, the window's reach; PADDING, 0 zeros,
// 1 circular, 2 reflect, 3 replicate; and TILE_ROWS and TILE_COLUMNS, the tokens of a block.
#pragma once

// The row or column that stands at a place of the extended map, from −RADIUS to length − 1 + RADIUS; −1 for zeros, and
// for places that no window reaches.
DEVICE int resolved(int position, int length) {
    if (position >= 0 && position < length) return position;
    if (position < -RADIUS || position >= length + RADIUS) return -1;
    if (PADDING == 1) return position < 0 ? position + length : position - length;
    if (PADDING == 2) return position < 0 ? -position : 2 * (length - 1) - position;
    if (PADDING == 3) return position < 0 ? 0 : length - 1;
    return -1;
}

DEVICE int inside(int position, int length) { return position >= 0 && position < length ? position : -1; }

// A tile of tokens of one image and head, by its number.
struct Tile {
    int head, top, left;
    long long image;

    DEVICE Tile(long long index, int height, int width, int heads) {
        const int down = (height + TILE_ROWS - 1) / TILE_ROWS;
        const int across = (width + TILE_COLUMNS - 1) / TILE_COLUMNS;
        head = static_cast<int>(index % heads);
        index /= heads;
        left = static_cast<int>(index % across) * TILE_COLUMNS;
        index /= across;
        top = static_cast<int>(index % down) * TILE_ROWS;
        image = index / down;
    }
};

// ---- Where a token stands, its own place and those outside the map ------------------------------------------------

// Ways in which a row or column stands in the extended map.
#define ROLES (PADDING == 0 ? 1 : PADDING == 3 ? 2 * RADIUS + 1 : 3)
#define NOWHERE (-(1 << 30))

// Where a row or column stands in one of its roles; NOWHERE if it does not.
DEVICE int place_of(int role, int position, int length) {
    if (position >= length) return NOWHERE;
    if (role == 0) return position;
    if (PADDING == 3) {
        if (role <= RADIUS) return position == 0 ? -role : NOWHERE;
        return position == length - 1 ? position + role - RADIUS : NOWHERE;
    }
    const int place = PADDING == 1 ? (role == 1 ? position - length : position + length)
                                   : (role == 1 ? -position : 2 * (length - 1) - position);
    const bool is_outside = role == 1 ? place < 0 : place >= length;
    return is_outside && place >= -RADIUS && place < length + RADIUS ? place : NOWHERE;
}

// The least and the greatest place of a tile's rows or columns in a role, and the positions of a window at which a token of
// the map can see one of them; `first` is NOWHERE if there is none.
struct Places {
    int first, last, first_tap, last_tap;

    DEVICE Places(int role, int from, int count, int length) : first(NOWHERE), last(NOWHERE) {
        for (int i = 0; i < count; ++i) {
            const int place = place_of(role, from + i, length);
            if (place == NOWHERE) continue;
            first = first == NOWHERE ? place : min(first, place);
            last = max(last, place);
        }
        first_tap = max(0, first + RADIUS - (length - 1));
        last_tap = min(WINDOW - 1, last + RADIUS);
    }
};
