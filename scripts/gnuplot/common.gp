# What all plots share. `vaemark report` sets: format, out, data, scripts, plot_title, plot_subtitle, backends (how many),
# lines (height of the plot, in lines of cases), x_low, x_high, ticks.
set encoding utf8

# Cases lie one below the other with their names unrotated; the picture grows with their number.
line_pixels = lines > 900 ? 20000.0 / lines : 22
width = 1280
top = 96
height = int(lines * line_pixels + top + 64)
height = height < 260 ? 260 : height

# Names have underscores: nothing is markup (noenhanced). "sans" is DejaVu Sans where it is installed, and the next best
# elsewhere.
if (format eq 'svg') {
    set terminal svg size width, height background '#ffffff' font 'sans-serif,13' noenhanced
} else {
    if (strstrt(GPVAL_TERMINALS, 'pngcairo') > 0) {
        set terminal pngcairo size width, height background '#ffffff' font 'sans,11' noenhanced
    } else {
        set terminal png size width, height noenhanced
    }
}
set output out

# Colours of Okabe and Ito, told apart by everybody; shapes differ too, for print in grey.
array colours[6] = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9']
array filled[6] = [7, 5, 9, 13, 11, 15]
array open[6] = [6, 4, 8, 12, 10, 14]
colour(b) = colours[b % 6 + 1]
filled_shape(b) = filled[b % 6 + 1]
open_shape(b) = open[b % 6 + 1]
text_colour = '#333333'

set datafile separator "\t"
set datafile missing 'nan'
set border 1 linecolor rgb '#888888'
set grid xtics linecolor rgb '#dddddd' linewidth 1 linetype 1
set grid noytics
set tics nomirror scale 0.5 textcolor rgb text_colour
set xtics out
set ytics scale 0 textcolor rgb text_colour
set xlabel textcolor rgb text_colour
set key at screen 0.985, 1 - 18.0 / height right top horizontal Right noenhanced samplen 1.5 width 2 \
    textcolor rgb text_colour
set label 1 plot_title at screen 0.015, 1 - 26.0 / height left font ',16' textcolor rgb '#111111'
set label 2 plot_subtitle at screen 0.015, 1 - 52.0 / height left font ',10' textcolor rgb '#666666'
set tmargin at screen 1 - top * 1.0 / height
set bmargin at screen 56.0 / height
set rmargin 4

set xrange [x_low:x_high]
set yrange [-(lines > 0 ? lines - 0.2 : 1):0.8]
if (strlen(ticks) > 0) { eval 'set xtics (' . ticks . ')' }

if (lines == 0) {
    set label 3 'no case of this run has this figure' at graph 0.5, 0.5 center textcolor rgb text_colour
    unset ytics
    set xtics ('' 0)
    plot NaN notitle
}
