// Surroundings of one attention head: clock, stream ends, recorders of its pins, and sources that
// replay the pulses which the analog model computed. The model acts twice a token: when `score`
// falls it reads `score_report` and writes `phi_*`, when `activate` falls it reads
// `activate_report` and writes `out_*`, for the capacitor that was used. Everything between happens
// here, in simulated time; tokens and results travel in files.
//
// Two kinds of pulse source, by EXACT:
//   0  all lanes in words, on clock edges: a phi pulse lasts its width rounded up to cycles, an
//      output pulse covers as many counting edges as the counting rule gives it;
//   1  each lane on its own, at the exact picosecond (slow; for small geometries).

`timescale 1ps / 1ps

module testbench #(
    parameter integer T_CLK = 0,
    parameter integer DIM = 0,
    parameter integer WINDOW = 0,
    parameter integer OUTPUTS = 0,
    parameter integer TOKEN_BITS = 0,
    parameter integer RESULT_BITS = 0,
    parameter integer LENGTH_BITS = 0,
    parameter integer SCHEDULE_BITS = 0,
    parameter integer SLOT_BITS = 0,
    parameter integer CODE_BITS = 0,
    parameter integer SCORE_CYCLES = 0,
    parameter integer WIDTH_BITS = 0,
    parameter integer EXACT = 0
);
  reg clk = 0;
  reg rst = 1;
  always #(T_CLK / 2) clk = ~clk;

  integer cycle = 0;  // number of the latest clock edge
  always @(posedge clk) cycle <= cycle + 1;

  // ---- token source: offers what `tokens.txt` says, a line a token: cycles to wait before it is
  //      offered, schedule, window length, payload
  integer tokens_file, offers_file, gap;
  reg [SCHEDULE_BITS-1:0] next_schedule, schedule = 0;
  reg [LENGTH_BITS-1:0] next_length, window_length = 0;
  reg [TOKEN_BITS-1:0] next_payload, token_payload = 0;
  reg next_there, token_valid = 0;
  wire token_ready;
  initial begin
    tokens_file = $fopen("tokens.txt", "r");
    offers_file = $fopen("accepted.txt", "w");
    next_there = read_token(0);
  end
  function read_token(input unused);
    read_token = $fscanf(tokens_file, "%d %d %d %h\n", gap, next_schedule, next_length, next_payload) == 4;
  endfunction
  always @(posedge clk) begin
    if (token_valid && token_ready) begin
      $fdisplay(offers_file, "%0d", cycle);
      token_valid <= 0;
    end
    if (!rst && next_there && (!token_valid || token_ready)) begin
      if (gap > 0) gap = gap - 1;
      else begin
        schedule <= next_schedule;
        window_length <= next_length;
        token_payload <= next_payload;
        token_valid <= 1;
        next_there = read_token(0);
      end
    end
  end

  // ---- result sink: takes each result after as many cycles as `stalls.txt` says and writes it to
  //      `results.txt`, with the cycle of the edge that made it valid
  integer stalls_file, results_file, stall, waited = 0, found = 0, results = 0;
  reg [RESULT_BITS-1:0] offered;
  reg result_ready = 0;
  reg result_changed = 0;  // while it waited to be taken
  reg finished = 0;
  wire result_valid;
  wire [RESULT_BITS-1:0] result_payload;
  initial begin
    stalls_file = $fopen("stalls.txt", "r");
    results_file = $fopen("results.txt", "w");
    read_stall;
  end
  task read_stall;
    if ($fscanf(stalls_file, "%d\n", stall) != 1) stall = -1;  // that was the last one
  endtask
  always @(posedge clk) begin
    if (result_valid) begin
      if (waited == 0) found = cycle - 1;
      else if (result_payload !== offered) result_changed <= 1;
      offered = result_payload;
      waited = waited + 1;
      if (result_ready) begin
        $fdisplay(results_file, "%0d %h", found, result_payload);
        waited = 0;
        results = results + 1;
        read_stall;
      end
    end
    result_ready <= stall == 0 || (stall > 0 && waited >= stall);
    if (stall < 0 && !finished) begin
      $fclose(results_file);
      $fclose(offers_file);
      finished <= 1;
    end
  end

  // ---- watchdog: no result for `patience` cycles
  integer patience = 0, idle = 0;
  reg stuck = 0;
  always @(posedge clk) begin
    idle = rst || (result_valid && result_ready) ? 0 : idle + 1;
    if (idle > patience && !finished) stuck <= 1;
  end
  wire ended = finished || result_changed || stuck;

  // ---- pins of the head
  wire [CODE_BITS-1:0] write_code;
  wire [SLOT_BITS-1:0] write_slot;
  wire strobe_k, strobe_v, reset_k, reset_v, score, activate, convert;
  wire score_bank, activate_bank, convert_bank;
  wire [DIM-1:0] q_pulse;
  wire [WINDOW-1:0] phi, row;
  wire [OUTPUTS-1:0] out_pulse;

  attention_head head (
      .clk(clk),
      .rst(rst),
      .token__valid(token_valid),
      .token__ready(token_ready),
      .token__payload(token_payload),
      .result__valid(result_valid),
      .result__ready(result_ready),
      .result__payload(result_payload),
      .schedule(schedule),
      .window_length(window_length),
      .pins__write__code(write_code),
      .pins__write__slot(write_slot),
      .pins__write__strobe_k(strobe_k),
      .pins__write__strobe_v(strobe_v),
      .pins__q_pulse(q_pulse),
      .control__reset_k(reset_k),
      .control__reset_v(reset_v),
      .control__score(score),
      .control__activate(activate),
      .control__convert(convert),
      .control__score_bank(score_bank),
      .control__activate_bank(activate_bank),
      .control__convert_bank(convert_bank),
      .pins__phi(phi),
      .pins__row(row),
      .pins__out_pulse(out_pulse),
      .pins__out_negative(out_pulses[convert_bank][WIDTH_BITS*OUTPUTS+:OUTPUTS])
  );

  // ---- pulses of the two capacitors of each column, written from outside as bit planes of widths
  //      in cycles: bit b of lane i is phi_pulses[bank][b * WINDOW + i]; for the outputs a plane of
  //      signs on top
  reg [WIDTH_BITS*WINDOW-1:0] phi_pulses[0:1];
  reg [(WIDTH_BITS+1)*OUTPUTS-1:0] out_pulses[0:1];
  initial begin
    phi_pulses[0] = 0;
    phi_pulses[1] = 0;
    out_pulses[0] = 0;
    out_pulses[1] = 0;
  end

  // ---- recorders, in mid-cycle: what the DACs wrote and how often (modulo 256); the word lines in
  //      each cycle of `score`, the last one in the lowest bits; for how many cycles `activate` was
  //      high; the capacitors that were used, and whether each was discharged since its last use
  reg [CODE_BITS-1:0] k_code = 0, v_code = 0;
  reg [SLOT_BITS-1:0] k_slot = 0, v_slot = 0;
  reg [7:0] k_writes = 0, v_writes = 0;
  reg k_strobed = 0, v_strobed = 0;  // in the cycle before
  always @(negedge clk) begin
    k_strobed <= strobe_k;
    v_strobed <= strobe_v;
    if (strobe_k) begin
      k_code <= write_code;
      k_slot <= write_slot;
      k_writes <= k_writes + !k_strobed;
    end
    if (strobe_v) begin
      v_code <= write_code;
      v_slot <= write_slot;
      v_writes <= v_writes + !v_strobed;
    end
  end

  reg [DIM*SCORE_CYCLES-1:0] q_levels = 0;
  reg [15:0] activate_cycles = 0;
  reg scored = 0, activated = 0;  // in the cycle before
  reg scored_bank = 0, activated_bank = 0;
  reg score_clean = 0, activate_clean = 0;
  reg [1:0] k_empty = 0, v_empty = 0;
  always @(negedge clk) begin
    scored <= score;
    activated <= activate;
    if (reset_k) k_empty[score_bank] <= 1;
    if (reset_v) v_empty[activate_bank] <= 1;
    if (score) begin
      q_levels <= scored ? {q_levels, q_pulse} : q_pulse;
      scored_bank <= score_bank;
      k_empty[score_bank] <= 0;
      if (!scored) score_clean <= k_empty[score_bank];
    end
    if (activate) begin
      activate_cycles <= activated ? activate_cycles + 1 : 1;
      activated_bank <= activate_bank;
      v_empty[activate_bank] <= 0;
      if (!activated) activate_clean <= v_empty[activate_bank];
    end
  end

  // What the gates did to the pulses of one phase: lanes that passed, and lanes that were cut.
  reg [WINDOW-1:0] row_seen = 0, phi_lost = 0;
  always @(negedge clk)
    if (activate) begin
      row_seen <= activated ? row_seen | row : row;
      phi_lost <= activated ? phi_lost | (phi & ~row) : phi & ~row;
    end

  // What Python reads when a phase has ended, in one word each (`reports.py`), because a read costs
  // more than its bits: levels recorded on pins, the latest write, flags, and its number and slot.
  wire [DIM*SCORE_CYCLES+CODE_BITS+SLOT_BITS+9:0] score_report = {
    q_levels, k_code, scored_bank, score_clean, k_writes, k_slot
  };
  wire gate_moved = |(row_seen & phi_lost);
  wire [WINDOW+CODE_BITS+SLOT_BITS+26:0] activate_report = {
    row_seen, v_code, activate_cycles, gate_moved, activated_bank, activate_clean, v_writes, v_slot
  };

  // ---- analog quantities, shown in the waveform: one V cell (V), one K column's integrator
  //      (charge), the activation pulse of one slot
  real v_stored = 0;
  real integrator_charge = 0;
  real phi_width_ps = 0;

  generate
    if (EXACT == 0) begin : replay
      word_pulses #(WINDOW, WIDTH_BITS) phi_source (clk, activate, phi_pulses[activate_bank], phi);
      word_pulses #(OUTPUTS, WIDTH_BITS) out_source (
          clk, convert, out_pulses[convert_bank][WIDTH_BITS*OUTPUTS-1:0], out_pulse);
    end else begin : exact
      genvar i;
      reg [1:0] charged = 0;  // set from outside when the widths of a capacitor are written
      wire start = activate && charged[activate_bank];
      for (i = 0; i < WINDOW; i = i + 1) begin : phi_lane
        integer width_ps[0:1];
        integer row_width_ps = 0;
        integer rise_ps = 0;
        reg pulse = 0;
        always @(posedge start) begin
          row_width_ps = 0;
          if (width_ps[activate_bank] > 0) begin
            pulse = 1;
            pulse <= #(width_ps[activate_bank]) 0;
          end
        end
        assign phi[i] = pulse;
        always @(posedge row[i]) rise_ps = $time;
        always @(negedge row[i]) row_width_ps = $time - rise_ps;
      end
      always @(negedge activate) charged[activated_bank] = 0;
      for (i = 0; i < OUTPUTS; i = i + 1) begin : out_lane
        integer width_ps[0:1];
        reg pulse = 0;
        always @(posedge convert) if (width_ps[convert_bank] > 0) begin
          pulse <= #(T_CLK / 2) 1;
          // Falls after the flip-flops of the same instant have sampled: an edge at the very end
          // of a pulse counts it.
          pulse <= #(T_CLK / 2 + width_ps[convert_bank]) 0;
        end
        assign out_pulse[i] = pulse;
      end
    end
  endgenerate
endmodule

// Pulses of a whole number of cycles on many lanes: they rise together with `run`, and each falls
// when the cycle counter meets its width.
module word_pulses #(
    parameter integer LANES = 0,
    parameter integer BITS = 0
) (
    input wire clk,
    input wire run,
    input wire [BITS*LANES-1:0] cycles,
    output wire [LANES-1:0] pulse
);
  reg [BITS-1:0] step = 0;  // number of this cycle
  reg [BITS-1:0] following;
  reg [LANES-1:0] unfinished = 0;  // from cycle 1 on
  reg [LANES-1:0] any, lasting;
  integer b;
  always @* begin
    any = {LANES{1'b0}};
    for (b = 0; b < BITS; b = b + 1) any = any | cycles[b*LANES+:LANES];
  end
  assign pulse = !run ? {LANES{1'b0}} : step == 0 ? any : unfinished;
  always @(posedge clk)
    if (run) begin
      following = step + 1;
      lasting = {LANES{1'b0}};  // lanes whose width does not end with this cycle
      for (b = 0; b < BITS; b = b + 1)
        lasting = lasting | (following[b] ? ~cycles[b*LANES+:LANES] : cycles[b*LANES+:LANES]);
      unfinished <= pulse & lasting;
      step <= &step ? step : following;
    end else step <= 0;
endmodule
