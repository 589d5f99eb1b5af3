# PSNR by case, and the bound that it has to reach as a bar across its line.
load scripts . '/common.gp'
set xlabel 'PSNR over [-1, 1] in dB'
if (lines > 0) {
    plot data index backends using (x_low):1:ytic(2) with points pointsize 0 notitle, \
         for [b = 0:backends - 1] data index b every ::1 using 5:($1 - 0.4):(0):(0.8) with vectors nohead \
             linewidth 2.5 linecolor rgb '#555555' notitle, \
         for [b = 0:backends - 1] data index b using 2:1 with points pointtype filled_shape(b) pointsize 1.1 \
             linecolor rgb colour(b) title columnheader(1), \
         for [b = 0:backends - 1] data index b every ::1 using 2:1:6 with labels left offset 1.2, 0 font ',9' \
             textcolor rgb text_colour notitle
}
