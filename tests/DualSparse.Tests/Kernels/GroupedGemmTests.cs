using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Tests.Kernels;

public sealed unsafe class GroupedGemmTests
{
    private const int Hidden = 80;

    // Relative RMS error of the result beside the same rows and weights in double precision, rounded where the kernel's form rounds.
    // A sum of n products in f32 is off by some √n·2⁻²⁵ of its size: 4e-7 here, and 1e-5 leaves room for any order of the sum. A hidden
    // value may lie so near a tie that the two round it apart. It is then off by a step: 2⁻⁸ of itself in bf16; in int8 1/127 of the row's
    // largest, 4 % of an ordinary value. With values off by 1e-7 that is one in 20,000 in bf16, in 200,000 in int8, so one such value is
    // accepted among some hundred: 2⁻⁸/√200 = 3e-4, 0.04/√400 = 2e-3. A scale that is wrong by 1 % shows as 1e-2.
    private static double Tolerance(ActivationFormat hidden) => hidden switch
    {
        ActivationFormat.F32 => 1e-5,
        ActivationFormat.Bf16 => 3e-4,
        _ => 2e-3,
    };

    public static IEnumerable<TheoryDataRow<WeightFormat, int, int>> Cases() =>
        from format in Enum.GetValues<WeightFormat>()
        from neurons in new[] { 1, 24, 128, 193 }
        from tokens in new[] { 1, 2, 33 }
        select new TheoryDataRow<WeightFormat, int, int>(format, neurons, tokens);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Equals_the_definition_on_nested_lists(WeightFormat format, int neurons, int tokens)
    {
        var problem = new Problem(neurons, tokens, experts: 5, seed: 1);
        using var weights = problem.Pack(format);
        // Every kernel of the format that this processor runs.
        foreach (var entry in KernelTable.Entries.Where(e => e.Weights == format && e.Refusal(CpuFeatures.Current) is null))
        {
            float[] y = problem.Run(format, threads: 2, poison: false, KernelSet.Named(entry.Name));
            double[] expected = problem.Reference(weights, entry.Create().Activations);
            double error = 0, norm = 0;
            for (int i = 0; i < y.Length; i++)
            {
                error += Math.Pow(y[i] - expected[i], 2);
                norm += expected[i] * expected[i];
            }

            double relative = Math.Sqrt(error / norm), most = Tolerance(entry.Create().Activations);
            Assert.True(relative <= most, $"{entry.Name}: relative error {relative}, expected at most {most}");
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Reads_nothing_that_no_row_takes(WeightFormat format, int neurons, int tokens)
    {
        var problem = new Problem(neurons, tokens, experts: 5, seed: 2);
        Assert.Equal(problem.Run(format, 2, poison: false), problem.Run(format, 2, poison: true));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Is_the_same_on_any_number_of_threads(WeightFormat format, int neurons, int tokens)
    {
        var problem = new Problem(neurons, tokens, experts: 5, seed: 3);
        Assert.Equal(problem.Run(format, 1, poison: false), problem.Run(format, 3, poison: false));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Has_room_for_whole_tiles(WeightFormat format, int neurons, int tokens)
    {
        var problem = new Problem(neurons, tokens, experts: 5, seed: 4);
        Assert.Equal(problem.Run(format, 2, poison: false), problem.Run(format, 2, poison: false, SpoilingKernel.All));
    }

    // Some of the experts first, then the others; or some of the rows at a time.
    [Theory]
    [MemberData(nameof(Cases))]
    public void Is_the_same_in_parts(WeightFormat format, int neurons, int tokens)
    {
        var problem = new Problem(neurons, tokens, experts: 5, seed: 5);
        float[] whole = problem.InParts(format, 1, byTokens: false);
        Assert.Contains(whole, value => value != 0);
        Assert.Equal(whole, problem.InParts(format, 2, byTokens: false));
        Assert.Equal(whole, problem.InParts(format, 3, byTokens: false));
        Assert.Equal(whole, problem.InParts(format, 2, byTokens: true));
    }

    /// <summary>Random experts and random lists: each pair is full, major-only or dropped; expert 0 has no row, expert 1 no full one.</summary>
    private sealed class Problem
    {
        private readonly int neurons, tokens, experts;
        private readonly float[] x;
        private readonly float[][] gate, up, down;
        private readonly ExpertBatch batch = new();

        public Problem(int neurons, int tokens, int experts, int seed)
        {
            (this.neurons, this.tokens, this.experts) = (neurons, tokens, experts);
            var random = new Random(seed);
            float[] Normal(int count) => [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5))];
            x = Normal(tokens * Hidden);
            gate = [.. Enumerable.Range(0, experts).Select(_ => Normal(neurons * Hidden))];
            up = [.. Enumerable.Range(0, experts).Select(_ => Normal(neurons * Hidden))];
            down = [.. Enumerable.Range(0, experts).Select(_ => Normal(Hidden * neurons))];
            for (int e = 1; e < experts; e++)
            {
                int[] full = e == 1 ? [] : [.. Enumerable.Range(0, tokens).Where(_ => random.Next(2) == 0)];
                int[] major = [.. Enumerable.Range(0, tokens).Except(full).Where(_ => e == 1 || random.Next(2) == 0)];
                if (full.Length + major.Length == 0)
                    continue;
                batch.Experts.Add(new ExpertRows(e, batch.Tokens.Count, full.Length, full.Length + major.Length));
                batch.Tokens.AddRange([.. full, .. major]);
                batch.Weights.AddRange(Enumerable.Range(0, full.Length + major.Length).Select(_ => random.NextSingle()));
            }
        }

        public float[] Run(WeightFormat format, int threads, bool poison, KernelSet? kernels = null)
        {
            using var team = new ThreadTeam(threads);
            using var work = new Workspace(team, kernels ?? KernelSet.Best());
            using var packed = Pack(format);
            for (int e = 0; poison && e < experts; e++)
                Poison(packed, e);
            float[] y = new float[tokens * Hidden];
            fixed (float* from = x, to = y)
                GroupedGemm.Forward(work, packed, batch, from, tokens, to);
            return y;
        }

        /// <summary>One part after the other of the experts, or of the tokens.</summary>
        public float[] InParts(WeightFormat format, int parts, bool byTokens)
        {
            using var team = new ThreadTeam(2);
            using var work = new Workspace(team, KernelSet.Best());
            using var packed = Pack(format);
            using ActivationRows rows = new();
            float[] y = new float[tokens * Hidden], some = new float[tokens * Hidden];
            var part = new ExpertBatch();
            fixed (float* from = x, sums = y, own = some)
            {
                GroupedGemm.Encode(work, packed, from, tokens, rows);
                for (int p = 0; p < parts; p++)
                {
                    int all = byTokens ? tokens : batch.Experts.Count, first = all * p / parts, end = all * (p + 1) / parts;
                    if (byTokens)
                        part.SetTokens(batch, first, end);
                    else
                        part.SetExperts(batch, first, end);
                    if (part.Tokens.Count == 0)
                        continue;
                    GroupedGemm.Forward(work, packed, part, rows, tokens, byTokens ? own : sums, add: false, goOn: !byTokens && p > 0);
                    if (byTokens)
                        some.AsSpan(first * Hidden, (end - first) * Hidden).CopyTo(y.AsSpan(first * Hidden));
                }
            }

            return y;
        }

        public PackedExperts Pack(WeightFormat format)
        {
            var packed = new PackedExperts(format, experts, Hidden, neurons);
            for (int e = 0; e < experts; e++)
                Pack(packed, e);
            return packed;
        }

        /// <summary>The definition in double precision of what the packed weights and the encoded rows stand for.</summary>
        public double[] Reference(PackedExperts weights, ActivationFormat format)
        {
            var layout = weights.Neurons;
            double[] y = new double[tokens * Hidden];
            double[][] rows = [.. Enumerable.Range(0, tokens).Select(t => Encoded(format, x.AsSpan(t * Hidden, Hidden)))];
            foreach (var list in batch.Experts)
            {
                double[][] gateUp = Decoded(weights.GateUp(list.Expert)), back = Decoded(weights.Down(list.Expert));
                for (int r = list.First; r < list.First + list.Count; r++)
                {
                    float[] hidden = new float[r - list.First < list.Full ? layout.Padded : layout.MajorPadded];
                    for (int position = 0; position < hidden.Length; position++)
                    {
                        int output = position / 16 * 32 + position % 16;
                        double g = Dot(rows[batch.Tokens[r]], gateUp[output]), u = Dot(rows[batch.Tokens[r]], gateUp[output + 16]);
                        hidden[position] = (float)(g / (1 + Math.Exp(-g)) * u);
                    }

                    double[] encoded = Encoded(format, hidden);
                    for (int d = 0; d < Hidden; d++)
                        y[batch.Tokens[r] * Hidden + d] += batch.Weights[r] * Dot(encoded, back[d]);
                }
            }

            return y;
        }

        private static double Dot(double[] row, double[] weights)
        {
            double sum = 0;
            for (int k = 0; k < row.Length; k++)
                sum += row[k] * weights[k];
            return sum;
        }

        private static double[] Encoded(ActivationFormat format, ReadOnlySpan<float> row)
        {
            using var encoded = new ActivationRows();
            encoded.Reset(format, 1, row.Length);
            encoded.Encode(0, row);
            var args = encoded.Args(WeightFormat.F32, 0, 1, encoded.Inputs);
            return [.. Enumerable.Range(0, row.Length).Select(k => PanelValues.Activation(args, format, 0, k))];
        }

        private static double[][] Decoded(PackedMatrix matrix) =>
            [.. Enumerable.Range(0, matrix.Outputs).Select(o => Enumerable.Range(0, matrix.Inputs).Select(k => PanelValues.Weight(matrix, o, k)).ToArray())];

        private void Pack(PackedExperts target, int e)
        {
            var layout = target.Neurons;
            var first = target.GateUp(e);
            for (int panel = 0; panel < first.PanelCount; panel++)
            {
                float[] rows = new float[32 * first.Inputs];
                for (int c = 0; c < 32; c++)
                {
                    int neuron = layout.NeuronAt(panel * 16 + c % 16);
                    if (neuron >= 0)
                        (c < 16 ? gate : up)[e].AsSpan(neuron * Hidden, Hidden).CopyTo(rows.AsSpan(c * first.Inputs));
                }

                first.PackPanel(panel, rows);
            }

            var second = target.Down(e);
            for (int panel = 0; panel < second.PanelCount; panel++)
            {
                float[] rows = new float[32 * second.Inputs];
                for (int c = 0; c < 32 && panel * 32 + c < Hidden; c++)
                {
                    for (int position = 0; position < layout.Padded; position++)
                    {
                        int neuron = layout.NeuronAt(position);
                        rows[c * second.Inputs + position] = neuron < 0 ? 0 : down[e][(panel * 32 + c) * neurons + neuron];
                    }
                }

                second.PackPanel(panel, rows);
            }
        }

        // Bytes of ones: NaN in f32, in bf16 and in int4's scales, 127 in int8.
        private void Poison(PackedExperts target, int e)
        {
            bool used = batch.Experts.Exists(r => r.Expert == e), minorUsed = batch.Experts.Exists(r => r.Expert == e && r.Full > 0);
            if (minorUsed)
                return;
            var (first, second) = (target.GateUp(e), target.Down(e));
            for (int panel = used ? target.Neurons.MajorPadded / 16 : 0; panel < first.PanelCount; panel++)
                new Span<byte>(first.Panel(panel), (int)first.PanelBytes).Fill(0xFF);
            int prefix = used ? (int)PanelLayout.PanelBytes(target.Format, target.Neurons.MajorPadded) : 0;
            for (int panel = 0; panel < second.PanelCount; panel++)
                new Span<byte>(second.Panel(panel), (int)second.PanelBytes)[prefix..].Fill(0xFF);
        }
    }
}
