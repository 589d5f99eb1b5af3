# Draws what scripts/bench_frameworks.py laid out: how many times cpu's time and memory each framework takes, cpu being the line at 1.
# Set before: format, out, data (a file with a block a framework: row, time, low, high, memory), rows; names and labels, arrays of
# texts. Bars are the intervals of the ratio.
set encoding utf8
height = 150 + 46 * rows
if (format eq 'svg') {
    set terminal svg size 960, height font 'sans-serif,12' noenhanced background '#ffffff'
} else {
    set terminal pngcairo size 1920, 2 * height font 'sans,9' fontscale 2 linewidth 2 pointscale 2 noenhanced
}
set output out
# Colours of Okabe and Ito, told apart by everybody; shapes differ, too.
array colours[6] = [0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9]
array shapes[6] = [7, 5, 9, 13, 11, 15]
set yrange [rows - 0.5:-0.5]
set ytics ()
do for [i = 1:rows] { set ytics add (labels[i] i - 1) }
set ytics scale 0
set logscale x 2
set xtics format '%.3gx'
set grid xtics linetype 1 linecolor rgb '#dddddd'
set border 1 linecolor rgb '#777777'
set xtics nomirror
set arrow 1 from 1, graph 0 to 1, graph 1 nohead linewidth 1.5 linecolor rgb '#2b2b2b' back
set multiplot layout 1, 2 margins screen 0.17, screen 0.97, screen 70.0 / height, screen 1 - 60.0 / height spacing screen 0.03
set key at screen 0.97, screen 1 - 8.0 / height right top horizontal maxrows 1 samplen 1
set xrange [*<0.9:1.1<*]
set xlabel 'time of one decode, times cpu''s'
plot for [i = 1:|names|] data index i - 1 using 2:1:3:4 with xerrorbars linecolor rgb colours[(i - 1) % 6 + 1] \
    pointtype shapes[(i - 1) % 6 + 1] title names[i]
unset key
unset ytics
set xlabel 'memory of one decode, times cpu''s'
plot for [i = 1:|names|] data index i - 1 using 5:1 with points linecolor rgb colours[(i - 1) % 6 + 1] \
    pointtype shapes[(i - 1) % 6 + 1] title names[i]
unset multiplot
unset output
