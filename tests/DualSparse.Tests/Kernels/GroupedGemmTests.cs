using DualSparse.Kernels;
using DualSparse.Kernels.Gemm;
using DualSparse.Kernels.Packing;
using DualSparse.Kernels.Threading;

namespace DualSparse.Tests.Kernels;

public sealed unsafe class GroupedGemmTests
{
    private const int Hidden = 80;

    // Worst relative RMS error of the result: f32 sums of some hundred terms; bf16 keeps 8 bits; int8 and int4 round to 1/127 and 1/7
    // of the largest, which is about three deviations away.
    private static double Tolerance(WeightFormat format) => format switch
    {
        WeightFormat.F32 => 1e-5,
        WeightFormat.Bf16 => 0.02,
        WeightFormat.Int8 => 0.04,
        _ => 0.3,
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
        float[] y = problem.Run(format, threads: 2, poison: false);
        double[] expected = problem.Reference();
        double error = 0, norm = 0;
        for (int i = 0; i < y.Length; i++)
        {
            error += Math.Pow(y[i] - expected[i], 2);
            norm += expected[i] * expected[i];
        }

        Assert.InRange(Math.Sqrt(error / norm), 0, Tolerance(format));
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
            using var packed = new PackedExperts(format, experts, Hidden, neurons);
            for (int e = 0; e < experts; e++)
            {
                Pack(packed, e);
                if (poison)
                    Poison(packed, e);
            }

            float[] y = new float[tokens * Hidden];
            fixed (float* from = x, to = y)
                GroupedGemm.Forward(work, packed, batch, from, tokens, to);
            return y;
        }

        public double[] Reference()
        {
            double[] y = new double[tokens * Hidden];
            foreach (var rows in batch.Experts)
            {
                for (int r = rows.First; r < rows.First + rows.Count; r++)
                {
                    int token = batch.Tokens[r], e = rows.Expert;
                    int computed = r - rows.First < rows.Full ? neurons : (neurons + 1) / 2;
                    for (int n = 0; n < computed; n++)
                    {
                        double g = Dot(gate[e], n, token), u = Dot(up[e], n, token);
                        double h = batch.Weights[r] * g / (1 + Math.Exp(-g)) * u;
                        for (int d = 0; d < Hidden; d++)
                            y[token * Hidden + d] += h * down[e][d * neurons + n];
                    }
                }
            }

            return y;
        }

        private double Dot(float[] matrix, int neuron, int token)
        {
            double sum = 0;
            for (int d = 0; d < Hidden; d++)
                sum += (double)matrix[neuron * Hidden + d] * x[token * Hidden + d];
            return sum;
        }

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
