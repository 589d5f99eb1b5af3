# What every plot begins with: terminal, colours, words and legend, as results/plot_layout.c laid them out. Set before:
# format, dark, out, id; width and height in pixels; arrays of words, keys (the legend) and rules. Arrays begin with an
# element that is not drawn.
set encoding utf8

# Texts are names from outside: nothing is markup (noenhanced). SVG has no background, so that it sits on any page.
# "sans" is DejaVu Sans where it is installed, and the next best elsewhere. PNG is for print: two dots a pixel.
dots = 1
if (format eq 'svg') {
    set terminal svg size width, height font 'sans-serif,12' noenhanced rounded name id
    family = 'sans-serif'
} else {
    if (strstrt(GPVAL_TERMINALS, 'pngcairo') > 0) {
        dots = 2
        set terminal pngcairo size 2 * width, 2 * height background '#ffffff' font 'sans,9' fontscale 2 linewidth 2 \
            pointscale 2 noenhanced rounded
    } else {
        set terminal png size width, height noenhanced
    }
    family = 'sans'
}
set output out
points(pixels) = format eq 'svg' ? pixels : pixels * 0.75

# Colours of Okabe and Ito, told apart by everybody; brighter where the page is dark. Shapes differ, too.
array light[8] = [0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9, 0x8C6D31, 0x5B4EA0]
array bright[8] = [0x56B4E9, 0xEE7B45, 0x2BC79B, 0xE7A1C6, 0xE69F00, 0xF0E442, 0xC9B27C, 0xB3A6F2]
array filled[6] = [7, 5, 9, 13, 11, 15]
array open[6] = [6, 4, 8, 12, 10, 14]
grey = dark ? 0xA8A8A8 : 0x777777
colour(s) = s < 0 ? grey : dark ? bright[int(s) % 8 + 1] : light[int(s) % 8 + 1]
filled_shape(s) = s < 0 ? 7 : filled[int(s) % 6 + 1]
open_shape(s) = s < 0 ? 6 : open[int(s) % 6 + 1]
hex(c) = sprintf('#%06x', int(c))
tone(t) = t == 0 ? (dark ? '#e2e2e2' : '#2b2b2b') : t == 1 ? (dark ? '#b0b0b0' : '#5f5f5f') : (dark ? '#ffffff' : '#000000')
band = dark ? '#5a6470' : '#c9d3dc'
faint = dark ? '#444444' : '#dddddd'

# From pixels to gnuplot's screen.
sx(pixels) = pixels / (1.0 * width)
sy(pixels) = 1 - pixels / (1.0 * height)

# Words are centred on their height: gnuplot does so by itself.
do for [i = 2:words + 1] {
    if (word_anchor[i] == 0) { set label i word_text[i] at screen sx(word_x[i]), sy(word_y[i]) left }
    if (word_anchor[i] == 1) { set label i word_text[i] at screen sx(word_x[i]), sy(word_y[i]) center }
    if (word_anchor[i] == 2) { set label i word_text[i] at screen sx(word_x[i]), sy(word_y[i]) right }
    word_font = sprintf('%s%s,%g', family, word_tone[i] == 2 ? ':Bold' : '', points(word_size[i]))
    set label i front textcolor rgb tone(word_tone[i]) font word_font
}
# Marks of the legend: 0 point, 1 hollow, 2 dot, 3 bar, 4 tick, 5 band, 6 beyond.
do for [i = 2:keys + 1] {
    c = hex(colour(key_series[i]))
    k = key_kind[i]
    if (k == 0 || k == 1) {
        set label words + 1 + i '' textcolor rgb tone(0) at screen sx(key_x[i]), sy(key_y[i]) \
            point pointtype (k == 0 ? filled_shape(key_series[i]) : open_shape(key_series[i])) pointsize 1 linecolor rgb c
    }
    if (k == 2) { set label words + 1 + i '' textcolor rgb tone(0) at screen sx(key_x[i]), sy(key_y[i]) \
        point pointtype 7 pointsize 0.5 linecolor rgb c }
    if (k == 6) { set label words + 1 + i '' textcolor rgb tone(0) at screen sx(key_x[i]), sy(key_y[i]) \
        point pointtype 9 pointsize 0.8 linecolor rgb c }
    if (k == 3 || k == 5) {
        if (k == 5) { c = band }
        set object i rectangle from screen sx(key_x[i] - 6), sy(key_y[i] + 6) to screen sx(key_x[i] + 6), sy(key_y[i] - 6) \
            fillcolor rgb c fillstyle solid noborder
    }
    if (k == 4) {
        set arrow rules + 1 + i from screen sx(key_x[i]), sy(key_y[i] + 7) to screen sx(key_x[i]), sy(key_y[i] - 7) nohead \
            linewidth 2.5 linecolor rgb c
    }
}
