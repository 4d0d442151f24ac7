// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Questions that hand on what the asker was called with
/// @notice A proof of many paths is dear to read and to write again; here its bytes are copied as
/// they came. Whom is asked reads the structure of what is handed on, and checks it, as if he had
/// been called with it: the asker must rely on no field of it but those it reads itself.
library Forward {
    /// @notice Answer of a view function. The asker's own arguments follow the given ones, and then
    /// a word of zeros: empty bytes may stand there.
    /// @param head Selector and fixed arguments; of one of dynamic type the place where it now
    /// stands, counted from behind the selector. None, if those of the asker are the same.
    /// @dev A failure is passed on as it is, for want of gas too. A callee without code answers
    /// nothing, which is no answer to whoever decodes it.
    function ask(address callee, bytes memory head) internal view returns (bytes memory answer) {
        assembly ("memory-safe") {
            answer := mload(0x40)
            let end := add(answer, mload(head))
            let rest := sub(calldatasize(), 4)
            mcopy(answer, add(head, 32), mload(head))
            calldatacopy(end, 4, rest)
            mstore(add(end, rest), 0)
            let size := add(sub(add(end, rest), answer), 32)
            let ok := staticcall(gas(), callee, answer, size, 0, 0)
            size := returndatasize()
            if iszero(ok) {
                returndatacopy(answer, 0, size)
                revert(answer, size)
            }
            mstore(answer, size)
            returndatacopy(add(answer, 32), 0, size)
            mstore(0x40, and(add(add(answer, 63), size), not(31)))
        }
    }
}
