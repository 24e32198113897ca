namespace DualSparse.Distributed.Measuring;

/// <summary>Bytes between this rank and another.</summary>
/// <param name="Peer">The other rank.</param>
/// <param name="Step">Its turn, on both sides, where each rank sends to one at a time: see <see cref="ExpertArrangement.StepOf"/>.</param>
/// <param name="Address">Where they are, or where they go.</param>
/// <param name="Bytes">How many.</param>
internal readonly record struct Transfer(int Peer, int Step, nint Address, int Bytes);

/// <summary>A step of an exchange: it is over when what it receives has arrived.</summary>
/// <param name="Work">What is done first.</param>
/// <param name="Sends">What is sent then, in the order of turns.</param>
/// <param name="Receives">What comes, in the order of turns.</param>
internal sealed record ExchangeStage(Action Work, IReadOnlyList<Transfer> Sends, IReadOnlyList<Transfer> Receives);
